"""Reads the index for the gallery: the files of a folder in columns, and what it has at single paths."""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from astica_sync.local.db.index import Index

_PAGE = 20_000


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
    """One more connection to the index, for the thread that opened it."""

    def files_in(self, folder_id: int) -> Iterator[FolderFiles]:
        """The files of one folder, in pages."""
        query = "SELECT name, size, mtime_ns, content, reason FROM file WHERE folder_id = ? ORDER BY name"
        rows = self._rows(query, (folder_id,))
        while page := list(itertools.islice(rows, _PAGE)):
            yield FolderFiles._make(zip(*page, strict=True))

    def indexed(self, path: str) -> Indexed | None:
        """What the index has of the file at one path."""
        folder, name = os.path.split(os.fsencode(path))
        query = (
            "SELECT size, mtime_ns, ctime_ns, inode, content FROM file JOIN folder ON folder.id = file.folder_id"
            " WHERE folder.path = ? AND file.name = ?"
        )
        row = next(self._rows(query, (folder, name)), None)
        return None if row is None else Indexed._make(row)
