"""Reads the index for the gallery: the files of a folder in columns, and what it has at single paths."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from astica_sync.local.db.cache_file import BUSY_S
from astica_sync.local.db.index import Index
from astica_sync.sqlite import refuse_fork

_PAGE = 20_000
_CACHE_KB = 8000


class FolderFiles(NamedTuple):
    """The files of one folder, sorted by name, in columns. ``contents`` and ``reasons`` are None where a file has the
    other one."""

    names: Sequence[bytes]
    sizes: Sequence[int]
    mtimes: Sequence[int]
    contents: Sequence[str | None]
    reasons: Sequence[str | None]


class Indexed(NamedTuple):
    """What the index has of one file: its signature (see ``local.filesystem``) and its content hash."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    content: str | None


class IndexReader(Index):
    """One more connection to the index, for the thread that opened it. It reads each row once, so it keeps few."""

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        super().__init__(path, busy_s)
        self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KB}")

    def files_in(self, folder_id: int) -> Iterator[FolderFiles]:
        """The files of one folder, in pages."""
        query = "SELECT name, size, mtime_ns, content, reason FROM file WHERE folder_id = ? ORDER BY name"
        refuse_fork(self._pid)
        with self._querying:
            # By pages: a call for each of a million rows takes longer than the reading.
            cursor = self._connection.execute(query, (folder_id,))
            while page := cursor.fetchmany(_PAGE):
                yield FolderFiles._make(zip(*page, strict=True))

    def shrink(self, other: Index) -> None:
        """Frees the pages that this connection and another one of the same thread keep in memory."""
        for index in (self, other):
            list(index._rows("PRAGMA shrink_memory"))

    def indexed(self, path: str) -> Indexed | None:
        """What the index has of the file at one path."""
        folder, name = os.path.split(os.fsencode(path))
        query = (
            "SELECT size, mtime_ns, ctime_ns, inode, content FROM file JOIN folder ON folder.id = file.folder_id"
            " WHERE folder.path = ? AND file.name = ?"
        )
        row = next(self._rows(query, (folder, name)), None)
        return None if row is None else Indexed._make(row)
