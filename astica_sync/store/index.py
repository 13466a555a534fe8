"""The SQLite cache of the scan: what each file of the store was when it was last read.

It is a cache. It may be deleted at any time, and where it cannot be written (another scan is under way, a read-only
disk, no space) this process goes on with a private copy in memory, which a later scan repeats.
"""

import contextlib
import functools
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from astica_sync.core.sample import LocalSample, Problem, make_scope, make_uid
from astica_sync.store import schema

BUSY_S = 2.0
_COPY_PAUSE_S = 0.05
# A file changed within this time before its content was read may change again under the same times ("racy").
GRAIN_NS = 10_000_000
# The same where times are kept in whole seconds; FAT keeps them in steps of two.
COARSE_GRAIN_NS = 2_000_000_000

_ROLE = schema.Role(
    "index",
    when_newer="upgrade astica-sync, or delete it: it is rebuilt at the next scan",
    when_damaged="run the command again: a scan rebuilds it",
)


def _tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE folder (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, class TEXT, mounted INTEGER NOT NULL)"
    )
    connection.execute(
        "CREATE TABLE file (folder_id INTEGER NOT NULL, name BLOB NOT NULL, size INTEGER NOT NULL,"
        " mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, checked_ns INTEGER NOT NULL,"
        " content TEXT, reason TEXT, PRIMARY KEY (folder_id, name)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX file_content ON file (content, size) WHERE content IS NOT NULL")
    connection.execute("CREATE INDEX file_reason ON file (folder_id) WHERE reason IS NOT NULL")
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


def _seals(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE folder ADD COLUMN seal BLOB")
    connection.execute("ALTER TABLE folder ADD COLUMN filled INTEGER NOT NULL DEFAULT 0")


_STEPS = (_tables, _seals)


class Folder(NamedTuple):
    """One folder of the store, ``path`` relative to it. ``class_title`` is None where files belong to no class;
    ``mounted`` says that it lies on another file system than the store. ``seal`` stands for how its files looked when
    each of them was as the index has it and needed no second reading, ``filled`` says that one of them is a sample."""

    folder_id: int
    path: bytes
    class_title: str | None
    mounted: bool
    seal: bytes | None = None
    filled: bool = False


class File(NamedTuple):
    """What was found at one name. ``content`` or ``reason`` is set, never both; ``checked_ns`` is when the reading
    began, on the file system's clock, or 0 for what must be read again at the next scan."""

    folder_id: int
    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    checked_ns: int
    content: str | None
    reason: str | None


Signature = tuple[int, int, int, int]
# The signature of a file that needs no second reading, else None; and the reason where it is a problem.
Known = tuple[Signature | None, str | None]

# Equal times prove nothing about a file that was changed about when it was read (git calls such files racy). The
# change time tells; the modification time beside it where a file system does not keep the former.
_SETTLED = (
    "ctime_ns < checked_ns - {grain} AND mtime_ns NOT BETWEEN checked_ns - {grain} AND checked_ns + {grain}"
).format(grain=f"iif(mtime_ns % 1000000000 OR ctime_ns % 1000000000, {GRAIN_NS}, {COARSE_GRAIN_NS})")
_KNOWN = f"SELECT name, size, mtime_ns, ctime_ns, inode, reason, {_SETTLED} FROM file WHERE folder_id = ?"  # noqa: S608
_CONTENT = "SELECT content FROM file WHERE folder_id = ? AND name = ? AND content IS NOT NULL"
_PLACES = (
    "SELECT folder.class, folder.path, file.name FROM file JOIN folder ON folder.id = file.folder_id"
    " WHERE file.content = ? AND folder.class IS NOT NULL"
)


class Index:
    """One connection to the cache; serves the thread that opened it.

    Raises from every method:
        DatabaseError: it cannot be read; ``schema.Damaged`` where the file is no database any more.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        """
        Raises:
            DatabaseError: a newer version wrote it. A damaged index is set aside and a new one begun.
        """
        self.path = path
        self._busy_s = busy_s
        self._pid = os.getpid()
        self._private = False
        self._translated = schema.Translated(path, _ROLE)
        # A file that makes trouble is set aside at once, so that the next command begins with a new one.
        self._caught = schema.Replaced(self._translated, self._set_aside)
        self._reading = schema.Replaced(schema.Translated(path, _ROLE, rows=True), self._set_aside)
        try:
            self._connection = self._open()
        except schema.Damaged:
            self._set_aside()
            self._connection = self._open()

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def is_private(self) -> bool:
        """Whether what is written now lasts no longer than this process."""
        return self._private

    def local_samples(self, model_id: int) -> Iterator[LocalSample]:
        """Every sample once, sorted by uid, with all files that hold it; needs memory for the folders alone."""
        scopes: dict[str, str] = {}
        places: dict[int, tuple[str, str]] = {}
        for folder in self.folders().values():
            if folder.class_title is not None:
                scopes.setdefault(folder.class_title, make_scope(model_id, folder.class_title))
                places[folder.folder_id] = folder.class_title, join(folder.path, b"")
        rows = self._rows("SELECT content, size, folder_id, name FROM file WHERE content IS NOT NULL ORDER BY content")
        with self._believed():
            last = ""
            for content, group in groupby(rows, key=itemgetter(0)):
                if content <= last:
                    # A flipped byte in an index of SQLite's can do that, and nothing notices.
                    raise ValueError(content)
                last = content
                paths: dict[str, list[str]] = {}
                size = 0
                for row in group:
                    place = places.get(row[2])
                    if place is not None:
                        size = row[1]
                        paths.setdefault(place[0], []).append(place[1] + os.fsdecode(row[3]))
                for title in paths if len(paths) == 1 else sorted(paths, key=scopes.__getitem__):
                    yield LocalSample(make_uid(content, scopes[title]), title, tuple(sorted(paths[title])), size)

    def problems(self) -> Iterator[Problem]:
        """Every file that cannot be a sample, by path."""
        rows = self._rows(
            "SELECT folder.path, file.name, file.reason FROM file JOIN folder ON folder.id = file.folder_id"
            " WHERE file.reason IS NOT NULL ORDER BY folder.path, file.name"
        )
        with self._believed():
            for folder, name, reason in rows:
                yield Problem(join(folder, name), reason)

    def totals(self) -> tuple[int, int, int]:
        """How many classes have a sample, how many samples there are, and how many files hold them."""
        kept = self.get_meta("totals")
        if kept is None:
            per_class = list(
                self._rows(
                    "SELECT folder.class, count(DISTINCT content), count(*) FROM file"
                    " JOIN folder ON folder.id = file.folder_id WHERE content IS NOT NULL AND class IS NOT NULL"
                    " GROUP BY folder.class"
                )
            )
            kept = [len(per_class), sum(row[1] for row in per_class), sum(row[2] for row in per_class)]
            self.write(lambda connection: _set_meta(connection, "totals", kept))
        return kept[0], kept[1], kept[2]

    def twins(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """Each content that lies in two or more classes, with the (class, path) of all its files."""
        contents = self._rows(
            "SELECT content FROM file JOIN folder ON folder.id = file.folder_id WHERE content IS NOT NULL"
            " GROUP BY content HAVING count(DISTINCT folder.class) > 1"
        )
        with self._believed():
            for (content,) in list(contents):
                rows = self._rows(f"{_PLACES} ORDER BY folder.class, folder.path, file.name", (content,))
                yield content, [(title, join(folder, name)) for title, folder, name in rows]

    def paths_of(self, class_title: str, content: str) -> list[str]:
        """All files of one sample, sorted."""
        rows = self._rows(f"{_PLACES} AND folder.class = ?", (content, class_title))
        with self._believed():
            return sorted(join(folder, name) for _, folder, name in rows)

    def paths_with(self, content: str) -> list[str]:
        """All files of any class that hold this content, sorted."""
        return sorted(join(folder, name) for _, folder, name in self._rows(_PLACES, (content,)))

    def get_meta(self, key: str) -> Any:
        row = next(self._rows("SELECT value FROM meta WHERE key = ?", (key,)), None)
        with self._believed():
            return None if row is None else json.loads(row[0])

    def set_meta(self, key: str, value: Any) -> None:
        self.write(lambda connection: _set_meta(connection, key, value))

    def forget(self, paths: Iterable[str]) -> None:
        """Has the next scan read these files again, whatever their times say."""
        places = [os.path.split(os.fsencode(path)) for path in paths]

        def forget(connection: sqlite3.Connection) -> None:
            connection.executemany("UPDATE folder SET seal = NULL WHERE path = ?", ((above,) for above, _ in places))
            connection.executemany(
                "UPDATE file SET checked_ns = 0 WHERE folder_id = (SELECT id FROM folder WHERE path = ?) AND name = ?",
                places,
            )

        self.write(forget)

    @contextlib.contextmanager
    def scanning(self) -> Iterator[None]:
        """Held by a scan. While another process scans, this one works on a private copy, after a bounded wait."""
        self._come_back()
        lock = self._lock
        try:
            if not self.path.parent.is_dir():
                # The library would make the folder, and a disk that is not mounted would seem to be a store.
                raise FileNotFoundError(self.path.parent)
            lock.acquire(timeout=self._busy_s)
        except (Timeout, OSError, NotImplementedError):
            self._go_private()
        try:
            yield
        finally:
            lock.release()

    def folders(self) -> dict[bytes, Folder]:
        """All folders by their path relative to the store; the store itself is b""."""
        rows = self._rows("SELECT id, path, class, mounted, seal, filled FROM folder")
        return {row[1]: Folder._make(row) for row in rows}

    def is_mounted(self, path: str) -> bool:
        """Whether the folder lay on another file system than the store when it was last scanned."""
        row = next(self._rows("SELECT mounted FROM folder WHERE path = ?", (os.fsencode(path),)), None)
        return row is not None and bool(row[0])

    def known(self, folder_id: int) -> dict[bytes, Known]:
        """What is known of every name in one folder."""
        return {row[0]: (row[1:5] if row[6] else None, row[5]) for row in self._rows(_KNOWN, (folder_id,))}

    def content_at(self, folder_id: int, name: bytes) -> list[str]:
        """The content hash that was last read at one name; empty where there was none."""
        return [row[0] for row in self._rows(_CONTENT, (folder_id, name))]

    def change(self, folders: Sequence[Folder], put: Sequence[File], drop: Sequence[tuple[int, bytes]]) -> None:
        """Writes folders, removes the files ``drop``, then writes the files ``put``, all in one transaction."""

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?, ?, ?)", folders)
            # What is written about a file breaks its folder's seal.
            changed = {row[0] for row in (*put, *drop)}
            connection.executemany("UPDATE folder SET seal = NULL WHERE id = ?", ((number,) for number in changed))
            connection.executemany("DELETE FROM file WHERE folder_id = ? AND name = ?", drop)
            connection.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", put)
            connection.execute("DELETE FROM meta WHERE key = 'totals'")

        if folders or put or drop:
            self.write(change)

    def drop_folders(self, folder_ids: Sequence[int]) -> None:
        """Removes folders with everything that was known in them."""

        def change(connection: sqlite3.Connection) -> None:
            ids = [(folder_id,) for folder_id in folder_ids]
            connection.executemany("DELETE FROM file WHERE folder_id = ?", ids)
            connection.executemany("DELETE FROM folder WHERE id = ?", ids)
            connection.execute("DELETE FROM meta WHERE key = 'totals'")

        if folder_ids:
            self.write(change)

    def write(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Runs ``change`` in one transaction, in the private copy where the file cannot be written."""
        try:
            self._transact(change)
        except (schema.Locked, schema.Unwritable):
            if self._private:
                raise
            self._go_private()
            self._transact(change)

    def start_anew(self) -> None:
        """Sets the file aside as ``<name>.damaged`` and begins an empty index."""
        self._connection.close()
        self._set_aside()
        self._connection = self._open()

    def _set_aside(self) -> None:
        with contextlib.suppress(OSError):
            self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
            for suffix in ("-journal", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        try:
            return schema.open_database(self.path, _STEPS, _ROLE, busy_s=self._busy_s, durable=False)
        except (schema.Locked, schema.Unwritable):
            self._private = True
            return schema.open_memory(_STEPS)

    def _come_back(self) -> None:
        """Returns from a private copy to the file, for instance when another process has ended its scan."""
        if self._private:
            private = self._connection
            with contextlib.suppress(schema.Locked, schema.Unwritable):
                self._connection = schema.open_database(self.path, _STEPS, _ROLE, busy_s=self._busy_s, durable=False)
                self._private = False
                private.close()

    def _go_private(self) -> None:
        if self._private:
            return
        copy = sqlite3.connect(":memory:", isolation_level=None)
        tries = iter(range(max(1, int(self._busy_s / _COPY_PAUSE_S))))

        def give_up(status: int, _remaining: int, _total: int) -> None:
            if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and next(tries, None) is None:
                raise TimeoutError

        try:
            with self._translated:
                self._connection.backup(copy, progress=give_up, sleep=_COPY_PAUSE_S)
        except TimeoutError:
            copy.close()
            copy = schema.open_memory(_STEPS)
        except BaseException:
            copy.close()
            raise
        self._connection.close()
        self._connection = copy
        self._private = True

    def _transact(self, change: Callable[[sqlite3.Connection], object]) -> None:
        schema.refuse_fork(self._pid)
        with self._caught:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                change(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
        schema.refuse_fork(self._pid)
        with self._caught:
            # Not "yield from": it would close the cursor of a connection that is closed already.
            for row in self._connection.execute(query, values):  # noqa: UP028
                yield row

    @functools.cached_property
    def _lock(self) -> FileLock:
        return FileLock(f"{self.path}.lock")

    def _believed(self) -> schema.Replaced:
        return self._reading


def join(folder: bytes, name: bytes) -> str:
    """A path relative to the store, as the rest of the program has it."""
    return os.fsdecode(folder + b"/" + name if folder else name)


def _set_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))
