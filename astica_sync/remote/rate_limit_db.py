"""The file behind the request budgets: SQLite that processes share, and that may be lost without harm.

TRUNCATE as journal mode: WAL would need shared memory and a SQLite without its WAL-reset bug. NORMAL as sync level: a
power cut may lose the last rows, but it also takes longer than a window, and what is damaged is replaced. A replaced
file remembers when, and the budgets then rest as if every place had just been taken.
"""

import contextlib
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from astica_sync.errors import DatabaseError

VERSION = 1
BUSY_SECONDS = 20.0
T = TypeVar("T")
_Identity = tuple[int, int]

_SCHEMA = f"""
CREATE TABLE request (
    number INTEGER PRIMARY KEY AUTOINCREMENT, budget TEXT NOT NULL,
    sent REAL NOT NULL, answered REAL, lost_at REAL NOT NULL
);
CREATE INDEX request_of_budget ON request (budget);
CREATE TABLE waiting (
    who TEXT NOT NULL, budget TEXT NOT NULL, lane INTEGER NOT NULL, since REAL NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (who, budget, lane)
);
CREATE TABLE rest (budget TEXT PRIMARY KEY, since REAL NOT NULL, seconds REAL NOT NULL, refusals INTEGER NOT NULL);
CREATE TABLE loss (at REAL NOT NULL);
PRAGMA user_version = {VERSION};
"""
# No such table, too: the first page of a file can be whole and tell nothing.
_DAMAGE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(slots=True)
class _Task(Generic[T]):
    """What one thread wants done, and what came of it."""

    work: Callable[[sqlite3.Connection], T]
    found: T | None = None
    error: BaseException | None = None
    done: bool = False


class RateLimitDb:
    """Runs transactions on the file, which is made where there is none.

    Raises:
        DatabaseError: it cannot be opened or written, is locked for too long, or is of a newer version.
    """

    def __init__(self, path: Path, ticks: Callable[[], float]) -> None:
        self._path = path
        self._ticks = ticks
        self._lock = threading.Lock()
        self._waiting: deque[_Task[Any]] = deque()
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._identity: _Identity | None = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does the work in a transaction that no other process can come between.

        What several threads want at the same time is done in one: whoever comes first waits for the disk, and the
        others go with the next transaction together.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("a budget does not survive a fork: open it anew in the child")
        task: _Task[T] = _Task(work)
        self._waiting.append(task)
        with self._lock:
            if not task.done:
                tasks = [self._waiting.popleft() for _ in range(len(self._waiting))]
                # Whoever took it before and was interrupted has not done it.
                self._run_all(tasks if any(one is task for one in tasks) else [*tasks, task])
        if task.error is not None:
            raise task.error
        return cast(T, task.found)

    def _run_all(self, tasks: "list[_Task[Any]]") -> None:
        """Everything in one transaction; where one of them fails, each in its own, so that none fails for another."""
        if len(tasks) > 1:
            with contextlib.suppress(Exception):
                found = self._attempt(lambda rows: [task.work(rows) for task in tasks])
                for task, value in zip(tasks, found, strict=True):
                    task.found, task.done = value, True
                return
        for task in tasks:
            try:
                task.found = self._run_one(task.work)
            except BaseException as error:  # noqa: BLE001 - it belongs to the thread that wanted it
                task.error = error
            task.done = True

    def _run_one(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            if not _is_damage(error):
                raise self._refusal(error) from None
        try:
            self._replace()
            return self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            raise self._refusal(error) from None

    def close(self) -> None:
        with self._lock:
            self._forget_connection()

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._current()
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return found

    def _current(self) -> sqlite3.Connection:
        """The connection to the file that bears the name now: another process may have replaced it."""
        if self._connection is not None and _identity(self._path) == self._identity:
            return self._connection
        if self._identity is not None and _identity(self._path) is None:
            self._replace()
        self._forget_connection()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            before = self._identity = _identity(self._path)
            connection = _open(self._path)
            self._identity = _identity(self._path)
            if before in (None, self._identity):
                self._connection = connection
                return connection
            connection.close()

    def _replace(self) -> None:
        """Sets a damaged file aside and puts a new one in its place in one step, unless somebody just did."""
        from filelock import FileLock

        damaged = self._identity
        self._forget_connection()
        with FileLock(f"{self._path}.lock", timeout=BUSY_SECONDS):
            if _identity(self._path) != damaged and _identity(self._path) is not None:
                return
            new = self._path.with_name(f"{self._path.name}.new")
            for leftover in (new, _journal(new)):
                leftover.unlink(missing_ok=True)
            with contextlib.closing(_open(new)) as connection:
                connection.execute("INSERT INTO loss VALUES (?)", (self._ticks(),))
            with contextlib.suppress(OSError):
                aside = self._path.with_name(f"{self._path.name}.damaged")
                aside.unlink(missing_ok=True)
                os.link(self._path, aside)
            # The damaged file's journal would be rolled back into the new one.
            _journal(self._path).unlink(missing_ok=True)
            new.replace(self._path)

    def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refusal(self, error: Exception) -> DatabaseError:
        return DatabaseError(
            f"the request budget {self._path} cannot be used: {error}",
            "All processes share it to stay under the service's limit. Make its folder writable, or end what holds it.",
        )


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=TRUNCATE")
        connection.execute("PRAGMA synchronous=NORMAL")
        _make_schema(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_schema(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.execute("BEGIN IMMEDIATE")
        # Two processes may both have found it empty; the second one waited.
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            version = VERSION
        connection.execute("COMMIT")
    if version > VERSION:
        raise DatabaseError(f"the request budget {path} was written by a newer version", "Update astica-sync.")


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_READONLY_DBMOVED


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")
