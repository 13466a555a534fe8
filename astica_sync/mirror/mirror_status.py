"""What is known of the last copy to a mirror, in the store's hidden folder.

A store may have come in an archive: a record with an address of its own would be shown as the user's mirror, and in
commands to paste. So a record counts only with a seal that this user's program has made.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astica_sync.local.db.row_seals import RowSeals
from astica_sync.local.filesystem import FileSystem, write_new
from astica_sync.local.layout import Layout

_MOST_BYTES = 65_536
_TABLE = "mirror"
LATEST = 1e11
"""Seconds since the epoch; a later time is damage."""


@dataclass(frozen=True, slots=True)
class MirrorRecord:
    """``place`` is the mirror without a password, ``tried_at`` when the last copy began and ``done_at`` when the last
    whole one did, in seconds since the epoch; ``error`` is why the last one failed, "" where it did not. ``damaged`` is
    how many objects of the mirror were found damaged and could not be replaced."""

    place: str
    tried_at: float
    done_at: float | None
    objects: int = 0
    damaged: int = 0
    error: str = ""


def record_file(layout: Layout) -> Path:
    return layout.state / "mirror.json"


def read_record(layout: Layout) -> MirrorRecord | None:
    """None where there was no copy of this user's, or the file cannot be read."""
    try:
        with FileSystem().open_read(record_file(layout)) as file:
            fields: dict[str, Any] = json.loads(file.read(_MOST_BYTES))
        seal = bytes.fromhex(fields.pop("seal"))
        if not RowSeals().is_own(seal, _TABLE, _text(fields)):
            return None
        times = [fields["tried_at"], 0.0 if fields["done_at"] is None else fields["done_at"]]
        texts, numbers = [fields["place"], fields["error"]], [fields["objects"], fields["damaged"]]
        good = all(isinstance(one, int | float) and math.isfinite(one) and 0 <= one < LATEST for one in times)
        good = good and all(isinstance(one, str) for one in texts) and all(isinstance(one, int) for one in numbers)
        return MirrorRecord(**fields) if good else None
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def write_record(layout: Layout, record: MirrorRecord) -> None:
    """
    Raises:
        OSError: it cannot be written.
    """
    fields = asdict(record)
    sealed = {**fields, "seal": RowSeals().seal(_TABLE, _text(fields)).hex()}
    write_new(record_file(layout), json.dumps(sealed).encode() + b"\n")


def _text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True)
