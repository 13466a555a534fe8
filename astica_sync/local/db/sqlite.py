"""Opening SQLite safely: journal mode, sync level, schema version, damage, forks.

Journal mode. WAL has a bug that can lose committed pages when two connections checkpoint at one moment, mended in
SQLite 3.51.3 (https://sqlite.org/wal.html#walresetbug), and it needs shared memory, which network file systems do not
give. So WAL is used from that version on and on file systems known to be local; elsewhere TRUNCATE. Not DELETE: there
a commit is the removal of the rollback journal, which is durable only with synchronous=EXTRA, while TRUNCATE syncs
the shortened file and needs FULL alone.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import DatabaseError

WAL_MENDED = (3, 51, 3)
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "overlay"})

Step = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class Role:
    """What a database is to a person: its name, and what to do when it is of a newer version or damaged."""

    name: str
    when_newer: str
    when_damaged: str


class Damaged(DatabaseError):
    """The file is no database any more."""


class Locked(DatabaseError):
    """Another process held the database for longer than was worth waiting."""


class Unwritable(DatabaseError):
    """Read-only, no space, or no rights: reading may still work."""


def open_database(path: Path, steps: Sequence[Step], role: Role, *, busy_s: float, durable: bool) -> sqlite3.Connection:
    """Opens or makes a database and brings its schema up to date.

    ``steps`` are the changes of schema in order, each run once. ``busy_s`` bounds every wait for another process.
    ``durable`` makes each commit survive a power cut, and keeps a copy of the file before its schema changes.
    Transactions are begun and ended by the caller; one connection serves one thread.

    Raises:
        DatabaseError: it cannot be opened or is of a newer version; Damaged, Locked or Unwritable where it is that.
    """
    with Translated(path, role):
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        try:
            version = _version(connection)
            if version > len(steps):
                raise DatabaseError(f"the {role.name} {path} was written by a newer version", role.when_newer)
            connection.execute(f"PRAGMA journal_mode={journal_mode(path)}")
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            if version < len(steps):
                if durable and version:
                    _keep_copy(connection, path.with_name(f"{path.name}.version-{version}"))
                _migrate(connection, steps)
        except BaseException:
            connection.close()
            raise
        return connection


def open_memory(steps: Sequence[Step]) -> sqlite3.Connection:
    """An empty database of this schema that lives and dies with the process."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _migrate(connection, steps)
    return connection


def journal_mode(path: Path, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """The journal mode for a database at ``path``; the reasons stand at the top of this file."""
    return "WAL" if version >= WAL_MENDED and file_system_of(path) in _LOCAL else "TRUNCATE"


def file_system_of(path: Path, table: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds ``path``, as the kernel names it; "" where that cannot be told."""
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    # proc(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw"; later mounts hide earlier ones.
    device = _device_of(path)
    found = ""
    for line in lines:
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == device:
            found = after.split(" ")[0]
    return found


@dataclass(frozen=True, slots=True)
class Translated:
    """Around the use of one database: turns what SQLite raises into an error a person can act on.

    Around the reading of rows (``rows``) a value that this program never writes is damage too. One object serves for
    every use, nested ones included.
    """

    path: Path
    role: Role
    rows: bool = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        found = None if error is None else self.find(error)
        if found is not None:
            raise found from error

    def find(self, error: BaseException) -> DatabaseError | None:
        """What to tell a person in place of this error; None where it says nothing about the database."""
        path, role = self.path, self.role
        if self.rows and isinstance(error, (ValueError, TypeError)):
            return Damaged(f"the {role.name} {path} holds what was never written to it", role.when_damaged)
        if isinstance(error, UnicodeDecodeError):
            # SQLite's messages quote what they choke on.
            return Damaged(f"the {role.name} {path} is damaged", role.when_damaged)
        if not isinstance(error, sqlite3.Error):
            return None
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Locked(f"the {role.name} {path} is locked by another process", "wait for it to end, then try again")
        if code == sqlite3.SQLITE_FULL:
            return Unwritable(f"no space left for the {role.name} {path}", "free some space, then try again")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
            return Unwritable(f"cannot write the {role.name} {path}: {error}", "mend the folder's rights or its disk")
        if isinstance(error, sqlite3.OperationalError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Damaged(f"the {role.name} {path} is damaged: {error}", role.when_damaged)
        return DatabaseError(f"cannot use the {role.name} {path}: {error}", role.when_damaged)


@dataclass(frozen=True, slots=True)
class Replaced:
    """As ``Translated``, for a database that is given up at any trouble but a lock or a full disk."""

    translated: Translated
    set_aside: Callable[[], None]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        found = error if isinstance(error, DatabaseError) else self.translated.find(error)
        if found is None or (found is error and isinstance(error, (Locked, Unwritable))):
            return
        if isinstance(found, (Locked, Unwritable)):
            raise found from error
        self.set_aside()
        raise Damaged(str(found), found.hint) from error


def refuse_fork(opened_by: int) -> None:
    """A connection must not be used by a child of the process that opened it: both would hold the same locks.

    Raises:
        DatabaseError: this is another process.
    """
    if os.getpid() != opened_by:
        raise DatabaseError("a database was carried through a fork", "this is a bug in astica-sync: please report it")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _keep_copy(connection: sqlite3.Connection, target: Path) -> None:
    copy = sqlite3.connect(target)
    with contextlib.closing(copy):
        connection.backup(copy)


def _migrate(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    from sqlite_utils import Database, Migrations

    migrations = Migrations("astica-sync")
    for number, step in enumerate(steps, 1):
        migrations(name=f"{number:03} {step.__name__}")(lambda database, step=step: step(database.conn))
    # Two processes may open a new database at once; the second finds nothing left to do.
    connection.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
        connection.execute(f"PRAGMA user_version={len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _device_of(path: Path) -> str:
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            number = place.stat().st_dev
            return f"{os.major(number)}:{os.minor(number)}"
    return ""
