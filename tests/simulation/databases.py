"""Real SQLite under the simulation, in memory or in files.

The index, the journal and the request budget run their own code on real databases. A committed transaction is durable,
an open one is rolled back when its process dies. Every commit is two effects, one before and one after, so that a
process can die on either side of it, and the first can fail.

Databases in memory are shared by the connections of all simulated processes; what was made once is filled and emptied
by SQLite's backup, which is far quicker than making schemas again.
"""

import contextlib
import functools
import gc
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from astica_sync import sqlite
from astica_sync.local.db import detections as detections_module
from astica_sync.local.db import index as index_module
from astica_sync.local.db import journal as journal_module
from astica_sync.local.layout import Layout
from astica_sync.remote import rate_limit_db as rate_limit_db_module
from astica_sync.remote import rate_limiter as rate_limiter_module
from astica_sync.training import detect as detect_module
from tests.simulation.world import Crash, Process, current

# Databases in memory are found by their name in the whole process, and two stages must not meet.
_numbers = itertools.count()
_execute, _executemany = sqlite3.Connection.execute, sqlite3.Connection.executemany


class Connection(sqlite3.Connection):
    """A connection that tells its process of commits, and that a dead process cannot use."""

    process: Process | None = None

    def __init__(self, *args: Any, role: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.before, self.after = f"commit {role}", f"committed {role}"
        self.settings: set[str] = set()

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        process = self.process
        if process is None or sql == "ROLLBACK":
            return _execute(self, sql, values)
        if process.dead:
            raise Crash
        if sql != "COMMIT":
            if sql[0] == "P" and "=" in sql:
                return self._set(sql)
            return _execute(self, sql, values)
        process.effect(self.before)
        cursor = _execute(self, sql)
        process.effect(self.after)
        return cursor

    def _set(self, sql: str) -> sqlite3.Cursor:
        """What was set in the life of an earlier process is so still."""
        if sql in self.settings:
            return self.cursor()
        self.settings.add(sql)
        return _execute(self, sql)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        if self.process is not None and self.process.dead:
            raise Crash
        return _executemany(self, sql, rows)

    def close(self) -> None:
        """Left to ``Databases`` while a process has it: opening takes as long as a dozen transactions."""
        if self.process is None:
            self.really_close()

    def really_close(self) -> None:
        super().close()


class Databases:
    """All databases of all walks, by their path."""

    def __init__(self, base: str = "", in_files: bool = False) -> None:
        """``base`` is the folder all simulated paths begin with; with ``in_files`` it must exist."""
        self.base = base
        self._in_files = in_files
        self._number = next(_numbers)
        self._keepers: dict[str, sqlite3.Connection] = {}
        self._empty: dict[str, sqlite3.Connection] = {}
        self._tables: dict[str, list[str]] = {}
        self._free: dict[str, list[Connection]] = {}
        self._lent: set[Connection] = set()
        self._copies: list[sqlite3.Connection] = []
        self._used: set[str] = set()
        """What has been opened by anybody, or restored, since the last reset."""

    def connect(self, path: Path | str, **_options: Any) -> sqlite3.Connection:
        """What ``sqlite3.connect`` is replaced by in the modules under test."""
        name = str(path)
        process = current()
        if name == ":memory:":
            return _until_the_end(sqlite3.connect(name, isolation_level=None), process)
        self._used.add(name)
        free = self._free.setdefault(name, [])
        connection = free.pop() if free else self._open(name)
        connection.process = process
        if process is not None:
            self._lent.add(connection)
            process.on_end.append(lambda: self._give_back(name, connection))
        return connection

    def keeper(self, name: str) -> sqlite3.Connection:
        """A connection that belongs to no process, for the simulation itself."""
        if name not in self._keepers:
            self._keepers[name] = self._open(name)
        return self._keepers[name]

    def remember_empty(self, name: str) -> None:
        """Takes what the database holds now for its beginning."""
        if name not in self._empty:
            self._empty[name] = self._copy(name)
            tables = self.keeper(name).execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            # What a schema writes down about itself stays.
            self._tables[name] = [table for (table,) in tables if not table.startswith("_")]

    def copy(self, name: str) -> sqlite3.Connection:
        """What the database holds now, until the next reset."""
        self._copies.append(self._copy(name))
        return self._copies[-1]

    def _copy(self, name: str) -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:")
        self.keeper(name).backup(copy)
        return copy

    def restore(self, name: str, copy: sqlite3.Connection | None = None) -> None:
        """Puts an earlier state back, from a restored home for instance; without one, the empty schema."""
        self._used.add(name)
        source = copy or self._empty.get(name)
        if source is not None:
            source.backup(self.keeper(name))

    def reset(self) -> None:
        """Empties everything that the walk before has written. Row by row: after a copy every connection would read
        the schema and prepare its statements again, which takes longer than all the rest."""
        self._let_go()
        for name in self._used & self._empty.keys():
            keeper = self.keeper(name)
            keeper.execute("BEGIN IMMEDIATE")
            for table in self._tables[name]:
                keeper.execute(f"DELETE FROM {table}")
            try:
                keeper.execute("COMMIT")
            except sqlite3.OperationalError:
                # A run that ended in the middle of a query has left it half read, which locks the others out until the
                # cursor is collected.
                _close_all(self._free.get(name, []))
                gc.collect()
                keeper.execute("COMMIT")
        self._used.clear()

    def close(self) -> None:
        """Closes everything."""
        self._let_go()
        for connections in self._free.values():
            _close_all(connections)
        _close_all([*self._keepers.values(), *self._empty.values()])

    def _let_go(self) -> None:
        """Closes what a walk has left, one too that was broken off with its processes."""
        _close_all(self._copies)
        while self._lent:
            self._lent.pop().really_close()

    def prepare(self, machine: str, stores: tuple[str, ...]) -> None:
        """Makes the schemas, once; by the code under test."""
        ledger = Path(f"{self.base}/{machine}/budget.db")
        names = [ledger]
        if self._in_files:
            ledger.parent.mkdir(parents=True, exist_ok=True)
        for store in stores:
            layout = Layout(Path(f"{self.base}/{machine}/{store}"))
            if self._in_files:
                layout.state.mkdir(parents=True, exist_ok=True)
            detections = layout.state / "detections.db"
            names += [layout.index_db, layout.journal_db, detections]
            # A database in memory exists as long as a connection is open.
            self.keeper(str(layout.index_db)), self.keeper(str(layout.journal_db)), self.keeper(str(detections))
            detections_module.Detections(detections).close()
            index_module.Index(layout.index_db).close()
            journal_module.Journal(layout.journal_db).close()
        sqlite.upgrade_schema(self.keeper(str(ledger)), rate_limit_db_module.SCHEMA)
        for name in names:
            self.remember_empty(str(name))

    def _open(self, name: str) -> Connection:
        target = name if self._in_files else f"file:/{self._number}{name}?vfs=memdb"
        connection = sqlite3.connect(
            target,
            timeout=0,
            isolation_level=None,
            uri=not self._in_files,
            factory=functools.partial(Connection, role=name.rpartition("/")[2].removesuffix(".db")),
            check_same_thread=False,
        )
        if self._in_files:
            connection.execute("PRAGMA journal_mode=TRUNCATE")
        return connection

    def _give_back(self, name: str, connection: Connection) -> None:
        process, connection.process = connection.process, None
        self._lent.discard(connection)
        if process is None:
            return
        if process.dead or connection.in_transaction:
            # Statements that were under way would keep their locks; closing ends them and rolls back.
            connection.really_close()
        else:
            self._free[name].append(connection)


def _until_the_end(connection: sqlite3.Connection, process: Process | None) -> sqlite3.Connection:
    """Who is killed closes nothing; with a real process all of it ends."""
    if process is not None:
        process.on_end.append(connection.close)
    return connection


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


class _Module:
    """The ``sqlite3`` module with another ``connect``."""

    def __init__(self, databases: Databases) -> None:
        self.connect = databases.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)


class _Processes:
    """What the budget asks the ``os`` module for: each simulated process has a number of its own."""

    def getpid(self) -> str:
        process = current()
        return process.name if process else ""


class SimLedger(rate_limit_db_module.RateLimitDb):
    """The file behind the budget, without the file: what guards against its loss has tests of its own."""

    databases: Databases | None = None

    def _current(self) -> sqlite3.Connection:
        if self._connection is None:
            assert self.databases is not None
            self._connection = self.databases.connect(self._path)
        return self._connection


class SimIndex(index_module.Index):
    """The index, with a lock between simulated processes in place of one between real ones."""

    scans: set[str]

    def _go_private(self) -> None:
        process = current()
        if process is not None:
            process.private = True
        super()._go_private()
        _until_the_end(self._connection, process)

    @contextlib.contextmanager
    def scanning(self) -> Iterator[None]:
        name = str(self.path)
        self._leave_private()
        mine = name not in self.scans
        if mine:
            self.scans.add(name)
        else:
            self._go_private()
        try:
            yield
        finally:
            if mine:
                self.scans.discard(name)


class SimThreadPool:
    """A ``ThreadPoolExecutor`` that does everything at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


@contextlib.contextmanager
def installed(databases: Databases) -> Iterator[None]:
    """While it lasts, the modules under test open their databases here."""
    before = sqlite.sqlite3, rate_limiter_module.RateLimitDb, rate_limiter_module.os
    before_databases, SimLedger.databases = SimLedger.databases, databases
    before_pool, detect_module.ThreadPoolExecutor = detect_module.ThreadPoolExecutor, SimThreadPool
    sqlite.sqlite3 = _Module(databases)  # type: ignore[attr-defined]
    rate_limiter_module.RateLimitDb = SimLedger  # type: ignore[misc]
    rate_limiter_module.os = _Processes()  # type: ignore[assignment]
    try:
        yield
    finally:
        SimLedger.databases = before_databases
        detect_module.ThreadPoolExecutor = before_pool
        sqlite.sqlite3, rate_limiter_module.RateLimitDb, rate_limiter_module.os = before  # type: ignore[attr-defined, misc]
