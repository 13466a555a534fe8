"""Reads the index for the gallery: the files of a folder in columns, and what it has at single paths."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from astica_sync.local.db.cache_file import BUSY_S, PAGE_CACHE_KB
from astica_sync.local.db.index import File, Folder, Index
from astica_sync.sqlite import refuse_fork

MOST_CHANGED = 20_000
"""Where more rows have changed, to read all of them again takes no longer."""
_PAGE, _NAMES = 20_000, 500
_CACHE_KB = 8000
_COLUMNS = "name, size, mtime_ns, content, reason"


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
    """One more connection to the index, for the thread that opened it.

    It notes of which files its own scans change the rows, so that columns can be brought up to date.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        super().__init__(path, busy_s)
        self._followed: object = None
        self._changed = set[tuple[bytes, bytes]]()

    @contextlib.contextmanager
    def reading_all(self) -> Iterator[None]:
        """While each row is read once, few pages are kept in memory."""
        self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
        try:
            yield
        finally:
            self._connection.execute(f"PRAGMA cache_size=-{PAGE_CACHE_KB}")

    def change(
        self,
        folders: Sequence[Folder],
        put: Sequence[File],
        drop: Sequence[tuple[int, bytes]],
        prepared: Sequence[tuple[str, str]] = (),
        *,
        moves: bool = False,
    ) -> None:
        if self._followed is not None:
            before = {folder.folder_id: folder for folder in self.folders().values()}
            now = before | {folder.folder_id: folder for folder in folders}
            places = [*drop, *((row.folder_id, row.name) for row in put)]
            self._note((now[folder_id].path, name) for folder_id, name in places)
            titles = {folder_id: folder.class_title for folder_id, folder in before.items()}
            self._note_folders(one for one in folders if (one.folder_id, one.class_title) not in titles.items())
        super().change(folders, put, drop, prepared, moves=moves)

    def drop_folders(self, folder_ids: Sequence[int]) -> None:
        if self._followed is not None:
            dropped = set(folder_ids)
            self._note_folders(folder for folder in self.folders().values() if folder.folder_id in dropped)
        super().drop_folders(folder_ids)

    def _note_folders(self, folders: Iterable[Folder]) -> None:
        """Notes all files of these folders, and for each, which may be empty, a file without a name."""
        for each in folders:
            rows = self._rows("SELECT name FROM file WHERE folder_id = ?", (each.folder_id,))
            self._note((each.path, name) for name in (b"", *(row[0] for row in rows)))

    def _note(self, files: Iterable[tuple[bytes, bytes]]) -> None:
        if self._followed is not None:
            self._changed.update(files)
        if len(self._changed) > MOST_CHANGED:
            self._followed = None

    def position(self) -> object:
        """The same as long as no other connection has written to the index, and this one still has the same file."""
        return self._connection, self.version

    def changed_files(self, position: object) -> set[tuple[bytes, bytes]] | None:
        """The files, each a folder and a name, whose rows may have changed since ``follow``; None where that is not
        known."""
        return self._changed if self._followed == position else None

    def follow(self, position: object) -> None:
        """From here on the changed files are noted: those before are known, and what other connections have written
        before ``position``."""
        self._followed, self._changed = position, set()

    def files_in(self, folder_id: int) -> Iterator[FolderFiles]:
        """The files of one folder, in pages."""
        query = f"SELECT {_COLUMNS} FROM file WHERE folder_id = ? ORDER BY name"  # noqa: S608
        refuse_fork(self._pid)
        with self._querying:
            # By pages: a call for each of a million rows takes longer than the reading.
            cursor = self._connection.execute(query, (folder_id,))
            while page := cursor.fetchmany(_PAGE):
                yield FolderFiles._make(zip(*page, strict=True))

    def files_at(self, folder_id: int, names: Sequence[bytes]) -> Iterator[FolderFiles]:
        """Those of one folder that have one of these names, which are in order, in pages."""
        for start in range(0, len(names), _NAMES):
            some = names[start : start + _NAMES]
            wanted = ", ".join("?" * len(some))
            query = f"SELECT {_COLUMNS} FROM file WHERE folder_id = ? AND name IN ({wanted}) ORDER BY name"  # noqa: S608
            if rows := list(self._rows(query, (folder_id, *some))):
                yield FolderFiles._make(zip(*rows, strict=True))

    def shrink(self) -> None:
        """Frees the pages that this connection keeps in memory."""
        list(self._rows("PRAGMA shrink_memory"))

    def indexed(self, path: str) -> Indexed | None:
        """What the index has of the file at one path."""
        folder, name = os.path.split(os.fsencode(path))
        query = (
            "SELECT size, mtime_ns, ctime_ns, inode, content FROM file JOIN folder ON folder.id = file.folder_id"
            " WHERE folder.path = ? AND file.name = ?"
        )
        row = next(self._rows(query, (folder, name)), None)
        return None if row is None else Indexed._make(row)
