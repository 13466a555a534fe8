"""Opening SQLite databases: journal mode, sync level, schema version, damage, forks.

What all databases of the program have in common: those of a store and that of the rate limiter.
"""

import contextlib
import errno
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import ConfigError, DatabaseError, StoreBusy
from astica_sync.file_owner import create_private
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import file_size_limit, lock_remedy, reason_of, remedy
from astica_sync.system.processes.lock_holder import find_lock_holders, name_process

WRITER_LOCK = "lock"
WRITER_LOCK_HOLDER = "lock-holder.json"
"""Beside the databases of a store: what a process locks that writes to it, and which process that is."""
_WRITER_WAIT_S = 0.5
_PROBE_BYTES = 65_536

OLDEST_SQLITE = (3, 35, 5)
"""``ALTER TABLE … DROP COLUMN`` came with 3.35.0, and could damage a database before this version
(https://sqlite.org/releaselog/3_35_5.html). Everything else that is used is older."""


def refuse_old_sqlite() -> None:
    """
    Raises:
        ConfigError: the SQLite of this Python is older than ``OLDEST_SQLITE``.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigError(
            f"this Python uses SQLite {'.'.join(map(str, sqlite3.sqlite_version_info))}, and astica-sync needs "
            f"{'.'.join(map(str, OLDEST_SQLITE))} or newer",
            "Install astica-sync with another Python: uv tool install --python 3.13 brings one with its own SQLite",
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of one kind of database, and what its error messages say.

    ``name`` is the kind of database in messages. ``upgrade`` brings an empty or older schema to ``version``, inside a
    transaction. ``when_newer`` and ``when_damaged`` are hints: what to do when a newer version of the program wrote the
    file, and when it is damaged.
    """

    name: str
    version: int
    upgrade: Callable[[sqlite3.Connection], None]
    when_newer: str
    when_damaged: str


# https://sqlite.org/fileformat2.html#the_rollback_journal: before this ending of a journal is the name of a
# super-journal, which exists for transactions over several databases. This program has none.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")


class Damaged(DatabaseError):
    """The file is not a valid database, or not one that this program wrote."""


class Locked(DatabaseError):
    """Another process held the database for longer than the allowed wait."""


class Unwritable(DatabaseError):
    """Read-only, disk full, or no permission; reading may still work."""


def open_database(
    path: Path, schema: Schema, *, busy_s: float, durable: bool, wal: bool = False, one_thread: bool = True
) -> sqlite3.Connection:
    """Opens or creates a database and upgrades its schema.

    ``busy_s`` bounds every wait for another process. With ``durable``, each commit survives a power cut; the file is
    copied before its schema changes, and changed only while no other process writes to the store. ``wal`` selects
    write-ahead logging; otherwise the journal mode is TRUNCATE: with DELETE a commit is the removal of the rollback
    journal, which is durable only with synchronous=EXTRA, while TRUNCATE needs only FULL. With ``one_thread``, the
    connection refuses use by other threads. Transactions are begun and ended by the caller.

    Raises:
        ConfigError: SQLite is too old.
        StoreBusy: the schema has to be changed, and another process writes to the store.
        DatabaseError: it cannot be opened, or a newer version wrote it; Damaged, Locked or Unwritable where it applies.
    """
    refuse_old_sqlite()
    with ErrorTranslation(path, schema):
        _prepare(path, schema)
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=one_thread)
        try:
            # A file from an archive may define functions of SQLite as defaults, indexes or views.
            connection.execute("PRAGMA trusted_schema=OFF")
            version = _schema_version(connection)
            if version > schema.version:
                raise DatabaseError(
                    f"the {schema.name} {path} was written by a newer version of astica-sync", schema.when_newer
                )
            _refuse_code(connection, path, schema)
            connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'TRUNCATE'}")
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            if version < schema.version:
                with _no_other_writer(path, schema) if durable and version else contextlib.nullcontext():
                    if durable and version:
                        _copy_database(connection, path.with_name(f"{path.name}.version-{version}"), schema)
                    upgrade_schema(connection, schema)
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def _no_other_writer(path: Path, schema: Schema) -> Iterator[None]:
    """Keeps writers out while the schema changes: the one that writes now may be of an earlier version, and could not
    note the outcome of what it has sent.

    Raises:
        StoreBusy: another process holds the writer's lock of the store.
    """
    # Loaded here: most commands find the schema up to date.
    from astica_sync.system.native_lock import lock_if_free

    lock = path.with_name(WRITER_LOCK)
    if lock.is_symlink() or not lock.is_file():
        yield
        return
    with lock_if_free(lock, wait_s=_WRITER_WAIT_S) as is_free:
        if not is_free and _holder(path) != os.getpid():
            raise StoreBusy(
                f"the {schema.name} {path} is of an earlier version of astica-sync, and is not changed while another "
                "process writes to the store",
                "Wait for that process to end, or stop it (astica-sync doctor names it); then run the command again",
            )
        yield


def _holder(path: Path) -> int | None:
    """The id of the process that holds the writer's lock of the store that this database belongs to, if it is known."""
    try:
        found = json.loads(path.with_name(WRITER_LOCK_HOLDER).read_text("utf-8"))
        return int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _refuse_code(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """A file from an archive may have what runs code when a table is read or written: triggers, views in place of
    tables (also endless ones), virtual tables and computed columns."""
    kinds = (
        "SELECT type || 's' FROM sqlite_master WHERE type NOT IN ('table', 'index') LIMIT 1",
        "SELECT 'virtual tables' FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%' LIMIT 1",
        "SELECT 'computed columns' FROM sqlite_master AS t, pragma_table_xinfo(t.name) AS c"
        " WHERE t.type = 'table' AND c.hidden <> 0 LIMIT 1",
    )
    for query in kinds:
        found = connection.execute(query).fetchone()
        if found is not None:
            raise Damaged(
                f"the {schema.name} {path} has {found[0]}, which astica-sync never makes", schema.when_damaged
            )


def open_memory(schema: Schema) -> sqlite3.Connection:
    """An empty database of this schema in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    upgrade_schema(connection, schema)
    return connection


def upgrade_schema(connection: sqlite3.Connection, schema: Schema) -> None:
    """Brings an open database to the schema's version, in one transaction."""
    with transaction(connection):
        # Two processes may open a new database at the same time; the second one finds it done after its wait.
        if _schema_version(connection) < schema.version:
            schema.upgrade(connection)
            connection.execute(f"PRAGMA user_version={schema.version}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction, committed at the end and rolled back after an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself.
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def companion_files(path: Path) -> list[Path]:
    """The files that SQLite keeps next to a database. They must not be applied to another file under its name."""
    return [path.with_name(path.name + suffix) for suffix in ("-journal", "-wal", "-shm")]


def damaged_name(path: Path) -> Path:
    """The name that a damaged database is moved to."""
    return path.with_name(f"{path.name}.damaged")


@dataclass(frozen=True, slots=True)
class ErrorTranslation:
    """A context manager for the use of one database that turns exceptions of SQLite into ``DatabaseError``.

    With ``rows``, which is for code that converts rows, a value that this program never writes counts as damage too.
    One object serves for every use, nested ones included.
    """

    path: Path
    schema: Schema
    rows: bool = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        translated = None if error is None else self.translate(error)
        if translated is not None:
            raise translated from error

    def translate(self, error: BaseException) -> DatabaseError | None:
        """The error to raise in place of this one; None where this one is not about the database."""
        path, name, when_damaged = self.path, self.schema.name, self.schema.when_damaged
        if self.rows and isinstance(error, (ValueError, TypeError, OverflowError)):
            return Damaged(
                f"the {name} {path} is damaged: it contains values that astica-sync never writes", when_damaged
            )
        if isinstance(error, UnicodeDecodeError):
            # SQLite quotes the invalid bytes in its message.
            return Damaged(f"the {name} {path} is damaged", when_damaged)
        if not isinstance(error, sqlite3.Error):
            return None
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            if (reason := _why_unlockable(path.parent)) is not None:
                return Locked(f"cannot lock the {name} {path}: {reason_of(reason)}", lock_remedy(reason, path))
            holder = next((name_process(pid) for _, pid in find_lock_holders([path])), "another process")
            return Locked(f"the {name} {path} is locked by {holder}", "wait for that process to end, then try again")
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
            return Unwritable(
                f"the {name} {path} is not the file any more that this command has opened: its folder was moved, "
                "replaced, or mounted again",
                "run the command again, with the folder in its place",
            )
        if code == sqlite3.SQLITE_FULL:
            if file_size_limit() is not None and not _is_full(path.parent):
                large = OSError(errno.EFBIG, "")
                return Unwritable(f"cannot write the {name} {path}: File too large", remedy(large, path))
            full = OSError(errno.ENOSPC, "")
            return Unwritable(f"the disk is full; cannot write the {name} {path}", remedy(full, path))
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
            fault = _find_fault(path, error)
            # SQLite calls every failed call of the system a disk I/O error.
            found = str(error) if fault is None or code != sqlite3.SQLITE_IOERR else reason_of(fault)
            return Unwritable(f"cannot write the {name} {path}: {found}", _why_unwritable(path, error, fault))
        if isinstance(error, sqlite3.OperationalError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Damaged(f"the {name} {path} is damaged: {error}", when_damaged)
        return DatabaseError(f"cannot use the {name} {path}: {error}", when_damaged)


def _why_unlockable(folder: Path) -> OSError | None:
    """Why no file can be locked there, which SQLite reports as a lock of another process; None where one can."""
    try:
        import fcntl

        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError as error:
        return error if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL) else None
    return None


_LOCK_ERRORS = (
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_UNLOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    # Where the system forbids a lock; a file that may not be opened has other codes.
    sqlite3.SQLITE_PERM,
)


def _why_unwritable(path: Path, error: sqlite3.Error, fault: OSError | None) -> str:
    """The advice; ``fault`` is what was found to be wrong."""
    if getattr(error, "sqlite_errorcode", 0) in _LOCK_ERRORS:
        return lock_remedy(OSError(errno.ENOLCK, ""), path)
    if fault is None and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN:
        return f"it cannot be opened, although its folder can be written: see ls -l {quote_path(str(path))}"
    fault = fault or OSError(errno.EIO, "")
    return remedy(fault, path if fault.errno == errno.EACCES and path.exists() else path.parent)


def _find_fault(path: Path, error: sqlite3.Error) -> OSError | None:
    """What is wrong where SQLite does not say it; None where that is not found."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code in _LOCK_ERRORS:
        return None
    folder = path.parent
    try:
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return _fault(errno.EROFS)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK) or (
            path.exists() and not os.access(path, os.R_OK | os.W_OK)
        ):
            return _fault(errno.EACCES)
        if _is_full(folder):
            return _fault(errno.ENOSPC)
        # The limit of open files shows itself here.
        os.close(os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
        if code == sqlite3.SQLITE_IOERR_WRITE:
            # A quota shows itself here.
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                file.write(bytes(_PROBE_BYTES))
            if file_size_limit() is not None:
                return _fault(errno.EFBIG)
    except OSError as problem:
        return problem
    return None


def _fault(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _is_full(folder: Path) -> bool:
    try:
        status = os.statvfs(folder)
    except OSError:
        return False
    return bool(status.f_blocks) and not status.f_bavail


@dataclass(frozen=True, slots=True)
class ReplaceOnDamage:
    """As ``ErrorTranslation``, for a cache: after any error but a lock or a full disk, ``set_aside`` is called and
    ``Damaged`` raised."""

    translation: ErrorTranslation
    set_aside: Callable[[], None]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        translated = error if isinstance(error, DatabaseError) else self.translation.translate(error)
        if translated is None or (translated is error and isinstance(error, (Locked, Unwritable))):
            return
        if isinstance(translated, (Locked, Unwritable)):
            raise translated from error
        self.set_aside()
        raise Damaged(str(translated), translated.hint) from error


def refuse_fork(opened_by: int) -> None:
    """Refuses a connection in a child of the process that opened it: both would hold the same locks.

    Raises:
        DatabaseError: ``opened_by`` is another process.
    """
    if os.getpid() != opened_by:
        raise DatabaseError("a database connection was used after a fork", "report this bug of astica-sync")


def _schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _prepare(path: Path, schema: Schema) -> None:
    """Before SQLite opens the file: it is made, for its owner alone, where there is none. A link is not followed, and a
    rollback journal that names a further file is refused: SQLite would delete that file, wherever it is.

    Raises:
        Damaged: what is there was not written by this program.
    """
    try:
        # Only a new file: closing any descriptor of a database drops the locks of this process on it.
        os.close(create_private(path))
    except FileExistsError:
        if path.is_symlink():
            raise Damaged(f"the {schema.name} {path} is a symbolic link, which is not followed", "Remove it.") from None
    except OSError:
        # A read-only file system, for example. SQLite reports what it cannot do.
        return
    rollback_journal = companion_files(path)[0]
    try:
        with rollback_journal.open("rb") as file:
            file.seek(-len(_SUPER_JOURNAL), os.SEEK_END)
            names_another = file.read() == _SUPER_JOURNAL
    except OSError:
        return
    if names_another:
        raise Damaged(
            f"{rollback_journal} was not written by astica-sync: it names another file, which SQLite would delete",
            f"Remove it: rm {quote_path(str(rollback_journal))}",
        )


def _copy_database(connection: sqlite3.Connection, target: Path, schema: Schema) -> None:
    _prepare(target, schema)
    with contextlib.closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
