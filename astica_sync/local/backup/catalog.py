"""The backup's catalog: which object was which file of which class, one line of JSON per sample.

Append-only except for ``backup prune``, and readable without this program. Lines that repeat others are harmless.
"""

import contextlib
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from astica_sync.local.filesystem import MAX_INT64, FileSystem
from astica_sync.local.jsonl import append_jsonl, parse_line, read_jsonl, read_lines

CONTENT = re.compile(r"[0-9a-f]{32}")
LONGEST_PATH = 4096
CATALOG = "catalog.jsonl"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One line: this object was this file of this class when it was added to the backup.

    ``path`` is relative to the store, ``size`` in bytes, ``added_at`` in whole seconds since the epoch.
    """

    class_title: str
    path: str
    content: str
    extension: str
    size: int
    added_at: float


class Catalog:
    """The lines in one file."""

    def __init__(self, path: Path, files: FileSystem) -> None:
        self._path = path
        self._files = files
        self._name_is_durable = False

    def add(self, entries: Iterable[CatalogEntry]) -> None:
        """Appends, durable at the return, with one sync for all.

        Raises:
            OSError: not written, or perhaps in part; adding the same again is harmless.
        """
        records = [_to_fields(entry) for entry in entries]
        if not records:
            return
        append_jsonl(self._files, self._path, records)
        if not self._name_is_durable:
            # A killed process may have created the file and not yet synced its folder.
            self._files.sync_folder(self._path.parent)
            self._name_is_durable = True

    def drop(self, contents: Container[str]) -> None:
        """Removes the lines of these contents, durably and atomically; every other line stays as it is.

        Raises:
            OSError: not removed, or perhaps all of them.
        """
        remaining = (line + b"\n" for line in self._lines() if not _is_about(line, contents))
        self._files.write_synced(self._path, remaining)

    def _lines(self) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError):
            yield from read_lines(self._files, self._path)

    def __iter__(self) -> Iterator[CatalogEntry]:
        """All valid lines, in the order they were written.

        Raises:
            OSError: the file exists and cannot be read.
        """
        for fields in read_jsonl(self._files, self._path):
            entry = entry_of(fields)
            if entry is not None:
                yield entry


def _to_fields(entry: CatalogEntry) -> dict[str, Any]:
    return {
        "class": entry.class_title,
        "path": entry.path,
        "content": entry.content,
        "extension": entry.extension,
        "size": entry.size,
        "added_at": datetime.fromtimestamp(int(entry.added_at), UTC).isoformat().replace("+00:00", "Z"),
    }


def entry_of(fields: dict[str, Any]) -> CatalogEntry | None:
    """The entry of one line; None where this program never writes such a line."""
    try:
        entry = CatalogEntry(
            _text(fields["class"]),
            _text(fields["path"]),
            _text(fields["content"]),
            _text(fields["extension"]),
            int(fields["size"]),
            datetime.fromisoformat(fields["added_at"]).timestamp(),
        )
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    # The content hash becomes part of a path in the backup. What no system could have as a path or a size was planted.
    sound = CONTENT.fullmatch(entry.content) and len(entry.path) <= LONGEST_PATH and 0 <= entry.size <= MAX_INT64
    return entry if sound and len(entry.class_title) <= LONGEST_PATH else None


def _is_about(line: bytes, contents: Container[str]) -> bool:
    fields = parse_line(line)
    entry = None if fields is None else entry_of(fields)
    return entry is not None and entry.content in contents


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a string: {value!r}")
    return value
