"""A SQLite file that is a cache: whatever goes wrong with it costs time, never a command.

Where it cannot be written (another process fills it, a read-only disk, no space) this process goes on with a private
copy in memory; a file that makes trouble is set aside, and an empty one begun.
"""

import contextlib
import functools
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from astica_sync.local.db import sqlite

BUSY_S = 2.0
PAGES_KB = 65_536
_COPY_PAUSE_S = 0.05


class CacheFile:
    """One connection to such a file; serves the thread that opened it. ``steps`` and ``role`` are its schema and what
    it is to a person.

    Raises from every method:
        DatabaseError: it cannot be read; ``sqlite.Damaged`` where the file is no database any more.
    """

    def __init__(self, path: Path, steps: Sequence[sqlite.Step], role: sqlite.Role, busy_s: float) -> None:
        """
        Raises:
            DatabaseError: a newer version wrote it. A damaged file is set aside and a new one begun.
        """
        self.path = path
        self._steps, self._role = steps, role
        self._busy_s = busy_s
        self._pid = os.getpid()
        self._private = False
        self._translated = sqlite.Translated(path, role)
        # A file that makes trouble is set aside at once, so that the next command begins with a new one.
        self._caught = sqlite.Replaced(self._translated, self._set_aside)
        self._believed = sqlite.Replaced(sqlite.Translated(path, role, rows=True), self._set_aside)
        try:
            self._connection = self._open()
        except sqlite.Damaged:
            self._set_aside()
            self._connection = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def is_private(self) -> bool:
        """Whether what is written now lasts no longer than this process."""
        return self._private

    @property
    def version(self) -> int:
        """A number that is another one when somebody else has written to the file since (SQLite, data_version)."""
        return int(next(self._rows("PRAGMA data_version"))[0])

    @contextlib.contextmanager
    def scanning(self) -> Iterator[None]:
        """Held by a scan. While another process scans, this one works on a private copy, after a bounded wait."""
        self._come_back()
        try:
            if not self.path.parent.is_dir():
                # The library would make the folder, and a disk that is not mounted would seem to be a store.
                raise FileNotFoundError(self.path.parent)
            self._scanning.acquire(timeout=self._busy_s)
        except (Timeout, OSError, NotImplementedError):
            self._go_private()
        try:
            yield
        finally:
            self._scanning.release()

    def write(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Runs ``change`` in one transaction, in the private copy where the file cannot be written."""
        try:
            self._transact(change)
        except (sqlite.Locked, sqlite.Unwritable):
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
            return self._open_file()
        except (sqlite.Locked, sqlite.Unwritable):
            self._private = True
            return sqlite.open_memory(self._steps)

    def _open_file(self) -> sqlite3.Connection:
        connection = sqlite.open_database(self.path, self._steps, self._role, busy_s=self._busy_s, durable=False)
        # Content hashes come in no order, so a large index is written all over at once.
        connection.execute(f"PRAGMA cache_size=-{PAGES_KB}")
        return connection

    def _come_back(self) -> None:
        """Returns from a private copy to the file, for instance when another process has ended its scan."""
        if self._private:
            private = self._connection
            with contextlib.suppress(sqlite.Locked, sqlite.Unwritable):
                self._connection = sqlite.open_database(
                    self.path, self._steps, self._role, busy_s=self._busy_s, durable=False
                )
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
            copy = sqlite.open_memory(self._steps)
        except BaseException:
            copy.close()
            raise
        self._connection.close()
        self._connection = copy
        self._private = True

    def _transact(self, change: Callable[[sqlite3.Connection], object]) -> None:
        sqlite.refuse_fork(self._pid)
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
        sqlite.refuse_fork(self._pid)
        with self._caught:
            # Not "yield from": it would close the cursor of a connection that is closed already.
            for row in self._connection.execute(query, values):  # noqa: UP028
                yield row

    @functools.cached_property
    def _scanning(self) -> FileLock:
        return FileLock(f"{self.path}.lock")
