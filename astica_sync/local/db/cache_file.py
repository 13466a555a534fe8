"""A SQLite file that is a cache: its loss or damage costs time and never fails a command.

Where the file cannot be written (another process fills it, a read-only disk, a full disk) the process continues with a
private copy in memory. A damaged file is set aside, and an empty one is started.
"""

import contextlib
import functools
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from astica_sync import sqlite
from astica_sync.errors import DatabaseError
from astica_sync.file_owner import create_private
from astica_sync.local.db.wal_safety import is_wal_safe
from astica_sync.local.filesystem import is_real_folder
from astica_sync.system.native_lock import native_lock

BUSY_S = 2.0
PAGE_CACHE_KB = 65_536
_COPY_PAUSE_S = 0.05


def open_cache(path: Path, schema: sqlite.Schema) -> sqlite3.Connection:
    """A connection to a cache that one thread uses; a private one in memory where the file cannot be opened."""
    try:
        return sqlite.open_database(path, schema, busy_s=BUSY_S, durable=False, wal=is_wal_safe(path))
    except DatabaseError:
        return sqlite.open_memory(schema)


class CacheFile:
    """One connection to such a file, for the thread that opened it.

    Raises from every method:
        DatabaseError: it cannot be read; ``sqlite.Damaged`` where the file is not a valid database any more.
    """

    def __init__(self, path: Path, schema: sqlite.Schema, busy_s: float) -> None:
        """``busy_s`` bounds every wait for another process, in seconds.

        Raises:
            DatabaseError: a newer version wrote it. A damaged file is set aside and a new one started.
        """
        self.path = path
        self._schema = schema
        self._busy_s = busy_s
        self._pid = os.getpid()
        self._private = False
        self._translating = sqlite.ErrorTranslation(path, schema)
        # A damaged file is set aside immediately, so that the next command starts with a new one.
        self._querying = sqlite.ReplaceOnDamage(self._translating, self._set_aside)
        self._decoding = sqlite.ReplaceOnDamage(sqlite.ErrorTranslation(path, schema, rows=True), self._set_aside)
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
        """Whether writes go to a copy in memory that is lost when the process ends."""
        return self._private

    @property
    def version(self) -> int:
        """A number that changes when another connection has written to the file (SQLite's ``data_version``)."""
        return int(next(self._rows("PRAGMA data_version"))[0])

    @contextlib.contextmanager
    def scanning(self) -> Iterator[None]:
        """Held by a scan. While another process scans, this one uses a private copy, after a bounded wait."""
        self._leave_private()
        try:
            if not is_real_folder(self.path.parent):
                # FileLock would create the folder, and a disk that is not mounted would look like a store.
                raise FileNotFoundError(self.path.parent)
            self._scan_lock.acquire(timeout=self._busy_s)
        except (Timeout, OSError, NotImplementedError):
            self._go_private()
        try:
            yield
        finally:
            self._scan_lock.release()

    def write(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Runs ``change`` in one transaction, in the private copy where the file cannot be written."""
        try:
            self._transact(change)
        except (sqlite.Locked, sqlite.Unwritable):
            if self._private:
                raise
            self._go_private()
            self._transact(change)

    def replace_damaged(self) -> None:
        """Renames the file to ``<name>.damaged`` and starts an empty one."""
        self._connection.close()
        self._set_aside()
        self._connection = self._open()

    def _set_aside(self) -> None:
        with contextlib.suppress(OSError):
            self.path.replace(sqlite.damaged_name(self.path))
            for companion in sqlite.companion_files(self.path):
                companion.unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        try:
            connection = self._open_file()
        except (sqlite.Locked, sqlite.Unwritable):
            self._private = True
            return sqlite.open_memory(self._schema)
        # Content hashes come in random order, so a large index is written at random places.
        connection.execute(f"PRAGMA cache_size=-{PAGE_CACHE_KB}")
        return connection

    def _open_file(self) -> sqlite3.Connection:
        return sqlite.open_database(
            self.path, self._schema, busy_s=self._busy_s, durable=False, wal=is_wal_safe(self.path)
        )

    def _leave_private(self) -> None:
        """Returns from a private copy to the file, for example when another process has finished its scan."""
        if self._private:
            private = self._connection
            with contextlib.suppress(sqlite.Locked, sqlite.Unwritable):
                self._connection = self._open_file()
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
            with self._translating:
                self._connection.backup(copy, progress=give_up, sleep=_COPY_PAUSE_S)
        except TimeoutError:
            copy.close()
            copy = sqlite.open_memory(self._schema)
        except BaseException:
            copy.close()
            raise
        self._connection.close()
        self._connection = copy
        self._private = True

    def _transact(self, change: Callable[[sqlite3.Connection], object]) -> None:
        sqlite.refuse_fork(self._pid)
        with self._querying, sqlite.transaction(self._connection):
            change(self._connection)

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
        sqlite.refuse_fork(self._pid)
        with self._querying:
            # Not "yield from": it would close the cursor of a connection that is closed already.
            for row in self._connection.execute(query, values):  # noqa: UP028
                yield row

    @functools.cached_property
    def _scan_lock(self) -> FileLock:
        with contextlib.suppress(OSError):
            os.close(create_private(Path(f"{self.path}.lock")))
        return native_lock(f"{self.path}.lock")
