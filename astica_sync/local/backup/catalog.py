"""The backup's catalog: which object was which file of which class, one line of JSON per sample.

Append-only, ``backup prune`` aside, and readable without this program. A line that a crash has torn is skipped; lines
that repeat others are harmless.
"""

import json
import os
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from astica_sync.local.filesystem import FileSystem

_as_text = json.JSONEncoder(ensure_ascii=False).encode
CONTENT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: this object was this file of this class when it went into the backup.

    ``path`` is relative to the store, ``size`` bytes, ``added_at`` seconds since the epoch, whole ones.
    """

    class_title: str
    path: str
    content: str
    extension: str
    size: int
    added_at: float


class Catalog:
    """The lines in one file."""

    def __init__(self, path: Path, fs: FileSystem) -> None:
        self._path = path
        self._fs = fs
        self._name_is_durable = False

    def add(self, entries: Iterable[Entry]) -> None:
        """Appends, durably at the return, with one sync for all.

        Raises:
            OSError: not written, or not surely; adding the same again is harmless.
        """
        lines = b"".join(_to_line(entry) for entry in entries)
        if not lines:
            return
        if self._ends_torn():
            lines = b"\n" + lines
        self._fs.append_synced(self._path, lines)
        if not self._name_is_durable:
            # The file may be one that a killed process has made and not yet synced into its folder.
            self._fs.sync_folder(self._path.parent)
            self._name_is_durable = True

    def drop(self, contents: Container[str]) -> None:
        """Leaves out the lines of these contents, durably and in one step; every other line stays as it is.

        Raises:
            OSError: the lines are all there, or all but these.
        """
        kept = (line + b"\n" for line in self._lines() if line and not _names(line, contents))
        self._fs.write_synced(self._path, kept)

    def __iter__(self) -> Iterator[Entry]:
        """All lines that can be read, in the order they were written.

        Raises:
            OSError: the file is there and cannot be read.
        """
        for line in self._lines():
            entry = _from_line(line)
            if entry is not None:
                yield entry

    def _lines(self) -> Iterator[bytes]:
        try:
            file = self._fs.open_read(self._path)
        except FileNotFoundError:
            return
        rest = b""
        with file:
            for chunk in self._fs.chunks(file):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        yield rest

    def _ends_torn(self) -> bool:
        try:
            file = self._fs.open_read(self._path)
        except FileNotFoundError:
            return False
        with file:
            size = self._fs.fstat(file).st_size
            if size == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def _to_line(entry: Entry) -> bytes:
    fields = {
        "class": entry.class_title,
        "path": entry.path,
        "content": entry.content,
        "extension": entry.extension,
        "size": entry.size,
        "added_at": datetime.fromtimestamp(int(entry.added_at), UTC).isoformat().replace("+00:00", "Z"),
    }
    try:
        return _as_text(fields).encode() + b"\n"
    except UnicodeEncodeError:
        # A name that is no UTF-8; its bytes are kept as lone surrogates (PEP 383), which only an escape can write.
        return json.dumps(fields).encode() + b"\n"


def _from_line(line: bytes) -> Entry | None:
    try:
        fields = json.loads(line)
        entry = Entry(
            _text(fields["class"]),
            _text(fields["path"]),
            _text(fields["content"]),
            _text(fields["extension"]),
            int(fields["size"]),
            datetime.fromisoformat(fields["added_at"]).timestamp(),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    # The content becomes part of a path inside the backup.
    return entry if CONTENT.fullmatch(entry.content) else None


def _names(line: bytes, contents: Container[str]) -> bool:
    entry = _from_line(line)
    return entry is not None and entry.content in contents


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value
