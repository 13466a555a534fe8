"""The database of the rate limiter: SQLite that all processes of the machine share, and that may be lost without harm.

The journal mode is TRUNCATE, since a damaged file is replaced while other processes may have it open. The sync level is
NORMAL: a power cut may lose the last rows, but it also takes longer than a window. A file that replaces a lost or
damaged one records when that happened, and requests then wait as if the whole limit had just been used.
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
from astica_sync.sqlite import (
    Damaged,
    ErrorTranslation,
    Schema,
    companion_files,
    damaged_name,
    open_database,
    transaction,
)

BUSY_SECONDS = 20.0
T = TypeVar("T")
_Identity = tuple[int, int]

_HINT = (
    "all processes share it to stay under the service's limit: make its folder writable,"
    " or end the process that holds it"
)
_TABLES = (
    "CREATE TABLE request (number INTEGER PRIMARY KEY AUTOINCREMENT, budget TEXT NOT NULL, sent REAL NOT NULL,"
    " answered REAL, lost_at REAL NOT NULL)",
    "CREATE INDEX request_of_budget ON request (budget)",
    "CREATE TABLE waiting (who TEXT NOT NULL, budget TEXT NOT NULL, lane INTEGER NOT NULL, since REAL NOT NULL,"
    " until REAL NOT NULL, PRIMARY KEY (who, budget, lane))",
    "CREATE TABLE rest (budget TEXT PRIMARY KEY, since REAL NOT NULL, seconds REAL NOT NULL,"
    " refusals INTEGER NOT NULL)",
    "CREATE TABLE loss (at REAL NOT NULL)",
)


def _create_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)


SCHEMA = Schema("request budget", 1, _create_tables, when_newer="upgrade astica-sync", when_damaged=_HINT)


@dataclass(slots=True)
class _Task(Generic[T]):
    """A transaction that one thread asked for, and its result."""

    work: Callable[[sqlite3.Connection], T]
    result: T | None = None
    error: BaseException | None = None
    done: bool = False


class RateLimitDb:
    """Runs transactions on the file, which is created where there is none.

    Raises:
        DatabaseError: it cannot be opened or written, is locked for too long, or a newer version wrote it.
    """

    def __init__(self, path: Path, ticks: Callable[[], float]) -> None:
        """``ticks`` is the clock of the rows, in seconds."""
        self._path = path
        self._ticks = ticks
        self._lock = threading.Lock()
        self._waiting: deque[_Task[Any]] = deque()
        self._pid = os.getpid()
        self._translating = ErrorTranslation(path, SCHEMA)
        self._connection: sqlite3.Connection | None = None
        self._identity: _Identity | None = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Calls ``work`` in an exclusive write transaction and returns its result.

        Calls of several threads at the same time share one transaction: the first waits for the disk, and the
        others go with the next transaction together.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("the rate limiter was used after a fork: open it again in the child")
        task: _Task[T] = _Task(work)
        self._waiting.append(task)
        with self._lock:
            if not task.done:
                tasks = [self._waiting.popleft() for _ in range(len(self._waiting))]
                # A thread that was interrupted may have removed this task without running it.
                self._run_all(tasks if any(one is task for one in tasks) else [*tasks, task])
        if task.error is not None:
            raise task.error
        return cast(T, task.result)

    def _run_all(self, tasks: "list[_Task[Any]]") -> None:
        """All tasks in one transaction; if one of them fails, each in its own, so that none fails for another."""
        if len(tasks) > 1:
            with contextlib.suppress(Exception):
                results = self._attempt(lambda rows: [task.work(rows) for task in tasks])
                for task, result in zip(tasks, results, strict=True):
                    task.result, task.done = result, True
                return
        for task in tasks:
            try:
                task.result = self._run_one(task.work)
            except BaseException as error:  # noqa: BLE001 - raised in the thread of the task
                task.error = error
            task.done = True

    def _run_one(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                return self._attempt(work)
            except DatabaseError as error:
                if not _must_replace(error):
                    raise
            self._replace()
            return self._attempt(work)
        except OSError as error:
            raise DatabaseError(f"the request budget {self._path} cannot be used: {error}", _HINT) from None

    def close(self) -> None:
        with self._lock:
            self._close_connection()

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._translating:
            connection = self._current()
            with transaction(connection):
                return work(connection)

    def _current(self) -> sqlite3.Connection:
        """The connection to the file that has the name now: another process may have replaced it."""
        if self._connection is not None and _identity(self._path) == self._identity:
            return self._connection
        if self._identity is not None and _identity(self._path) is None:
            self._replace()
        self._close_connection()
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
        """Sets a damaged file aside and puts a new one in its place atomically, unless another process just did."""
        from astica_sync.system.native_lock import native_lock

        damaged = self._identity
        self._close_connection()
        with native_lock(f"{self._path}.lock", timeout=BUSY_SECONDS):
            if _identity(self._path) != damaged and _identity(self._path) is not None:
                return
            new = self._path.with_name(f"{self._path.name}.new")
            for leftover in (new, *companion_files(new)):
                leftover.unlink(missing_ok=True)
            with contextlib.closing(_open(new)) as connection:
                connection.execute("INSERT INTO loss VALUES (?)", (self._ticks(),))
            with contextlib.suppress(OSError):
                aside = damaged_name(self._path)
                aside.unlink(missing_ok=True)
                os.link(self._path, aside)
            # The damaged file's journal would be rolled back into the new one.
            for companion in companion_files(self._path):
                companion.unlink(missing_ok=True)
            new.replace(self._path)

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _open(path: Path) -> sqlite3.Connection:
    return open_database(path, SCHEMA, busy_s=BUSY_SECONDS, durable=False, one_thread=False)


def _must_replace(error: DatabaseError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return isinstance(error, Damaged) or code == sqlite3.SQLITE_READONLY_DBMOVED


def _identity(path: Path) -> _Identity | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
