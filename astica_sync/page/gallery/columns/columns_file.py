"""The columns of the gallery on the disk, so that the page of a large store opens at once and looks at the store then.

A keyed hash ends the file: what this user's program has not written is not read.
"""

import hashlib
import hmac
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import STATES
from astica_sync.local.filesystem import FileSystem
from astica_sync.page.gallery.columns.shared_column import SharedColumn, SharedNames
from astica_sync.page.gallery.image_columns import Columns

FORMAT = 2
"""1 has a column of content keys."""
_MAC_BYTES = 32
_MOST_BYTES = 1 << 31
_PIECE = 1 << 20
_ARRAYS = (
    "ids",
    "class_of",
    "place_of",
    "state_of",
    "name_starts",
    "contents",
    "sizes",
    "mtimes",
    "order_of_ids",
    "order_of_contents",
)
_SHARED = ("contents", "sizes", "mtimes")


def write_columns(path: Path, columns: Columns, key: str) -> None:
    """Keeps the columns; what is to be said of single rows is made again.

    Raises:
        OSError: they cannot be written.
    """
    hasher = hashlib.blake2b(key=hashlib.sha256(key.encode()).digest(), digest_size=_MAC_BYTES)
    names, starts = columns.names.whole()

    def chunks() -> Iterator[bytes]:
        head = {
            "format": FORMAT,
            "states": list(map(str, STATES)),
            "titles": columns.titles,
            "places": [place.hex() for place in columns.places],
            "files": columns.files,
            "names": len(names),
        }
        yield json.dumps(head).encode() + b"\n"
        yield names
        for name in _ARRAYS:
            column = starts if name == "name_starts" else getattr(columns, name)
            yield from _save(column.whole() if isinstance(column, SharedColumn) else column)

    def signed() -> Iterator[bytes]:
        for chunk in chunks():
            hasher.update(chunk)
            yield chunk
        yield hasher.digest()

    files = FileSystem()
    files.make_folder(path.parent)
    files.write_synced(path, signed())


def _save(array: NDArray[Any]) -> Iterator[bytes]:
    """What ``numpy.save`` writes, in pieces."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    yield file.getvalue()
    rows = max(1, _PIECE // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), rows):
        yield array[start : start + rows].tobytes()


def read_columns(path: Path, key: str) -> Columns | None:
    """The columns that were kept; None where there are none that this program has written."""
    try:
        with FileSystem().open_read(path) as raw, open(raw.fileno(), "rb", closefd=False) as file:
            return _read(file) if _is_signed(file, key) else None
    except OSError:
        return None


def _is_signed(file: BinaryIO, key: str) -> bool:
    """Whether the file ends with the keyed hash of all before."""
    left = os.fstat(file.fileno()).st_size - _MAC_BYTES
    if not 0 < left < _MOST_BYTES:
        return False
    hasher = hashlib.blake2b(key=hashlib.sha256(key.encode()).digest(), digest_size=_MAC_BYTES)
    while left and (piece := file.read(min(left, _PIECE))):
        hasher.update(piece)
        left -= len(piece)
    return hmac.compare_digest(hasher.digest(), file.read(_MAC_BYTES))


def _read(file: BinaryIO) -> Columns | None:
    # Array by array, so that no second copy of all is in memory.
    file.seek(0)
    head = json.loads(file.readline())
    if head["format"] != FORMAT or head["states"] != list(map(str, STATES)):
        return None
    names = file.read(head["names"])
    arrays: dict[str, Any] = {name: np.load(file, allow_pickle=False) for name in _ARRAYS}
    starts = arrays.pop("name_starts")
    arrays |= {name: SharedColumn(arrays[name]) for name in _SHARED}
    return Columns(
        titles=tuple(head["titles"]),
        places=tuple(map(bytes.fromhex, head["places"])),
        names=SharedNames(names, starts),
        files=head["files"],
        notes={},
        sample_ids={},
        **arrays,
    )
