import contextlib
import errno
import os
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from astica_sync import sqlite
from astica_sync.errors import DatabaseError
from astica_sync.local.db import wal_safety
from astica_sync.local.db.run_migrations import Step, make_schema
from astica_sync.local.db.wal_safety import is_wal_safe
from astica_sync.local.filesystem import file_system_type
from astica_sync.sqlite import ErrorTranslation, Schema, open_database


def diary(*steps: Step) -> Schema:
    return make_schema("diary", steps, when_newer="upgrade it", when_damaged="move it away")


def make_page(database: Database) -> None:
    database.execute("CREATE TABLE page (text TEXT)")


def add_date(database: Database) -> None:
    database.execute("ALTER TABLE page ADD COLUMN date TEXT DEFAULT 'today'")


def break_down(database: Database) -> None:
    database.execute("INSERT INTO page VALUES ('half done')")
    raise RuntimeError("stop")


def open_diary(
    path: Path, *steps: Step, durable: bool = True, busy_s: float = 0.02, wal: bool = False
) -> sqlite3.Connection:
    return open_database(path, diary(*(steps or (make_page,))), busy_s=busy_s, durable=durable, wal=wal)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "diary.db"


def test_wal_is_for_fixed_versions_on_local_disks_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {}
    for kind in ("ext4", "xfs", "nfs4", "cifs", "fuse.sshfs", "9p", "vboxsf", ""):
        monkeypatch.setattr(wal_safety, "file_system_type", lambda _path, kind=kind: kind)
        chosen[kind] = [is_wal_safe(path, version) for version in ((3, 40, 1), (3, 51, 2), (3, 51, 3), (3, 53, 0))]
    assert {kind for kind, safe in chosen.items() if safe == [False, False, True, True]} == {"ext4", "xfs"}
    assert all(not any(safe) for kind, safe in chosen.items() if kind not in ("ext4", "xfs"))


def test_the_file_system_is_that_of_the_last_mount_over_the_place(tmp_path: Path) -> None:
    number = os.stat(tmp_path).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    table = tmp_path / "mountinfo"
    table.write_text(
        f"22 27 0:9999 / /proc rw - proc proc rw\n"
        f"27 1 {device} / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        f"31 1 {device} /sub /a\\040b rw - nfs4 host:/x rw\n"
    )
    assert file_system_type(tmp_path / "not" / "yet", table) == "nfs4"
    assert file_system_type(tmp_path, tmp_path / "no such table") == ""
    table.write_text("")
    assert file_system_type(tmp_path, table) == ""


@pytest.mark.parametrize("wal", [True, False])
@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_a_durable_database_syncs_each_commit(path: Path, durable: bool, level: int, wal: bool) -> None:
    connection = open_diary(path, durable=durable, wal=wal)
    assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0].upper() == ("WAL" if wal else "TRUNCATE")
    connection.close()


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    open_diary(path, make_page, add_date).close()
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="newer version") as caught:
        open_diary(path, make_page)
    assert caught.value.hint == "upgrade it"
    assert path.read_bytes() == before


def test_an_older_schema_is_brought_up_to_date_and_a_copy_kept(path: Path) -> None:
    old = open_diary(path, make_page)
    old.execute("INSERT INTO page VALUES ('dear diary')")
    old.close()
    new = open_diary(path, make_page, add_date)
    assert new.execute("SELECT * FROM page").fetchall() == [("dear diary", "today")]
    new.close()
    copy = open_diary(path.with_name("diary.db.version-1"), make_page)
    assert copy.execute("SELECT * FROM page").fetchall() == [("dear diary",)]
    copy.close()


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    open_diary(path, make_page).close()
    with pytest.raises(RuntimeError):
        open_diary(path, make_page, break_down)
    again = open_diary(path, make_page)
    assert again.execute("SELECT * FROM page").fetchall() == []
    again.close()


def test_a_cache_keeps_no_copy(path: Path) -> None:
    open_diary(path, make_page, durable=False).close()
    open_diary(path, make_page, add_date, durable=False).close()
    assert not list(path.parent.glob("*version*"))


@pytest.mark.parametrize("damage", [b"not a database at all, whatever its name says" * 10, b"SQLite format 3\0" * 90])
def test_a_file_that_is_no_database_is_damaged(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    with pytest.raises(sqlite.Damaged) as caught:
        open_diary(path)
    assert caught.value.hint == "move it away"
    assert path.read_bytes() == damage


def test_a_locked_database_is_waited_for_within_bounds(path: Path) -> None:
    holder = open_diary(path)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite.Locked) as caught:
        open_diary(path, make_page, add_date)
    assert "wait" in caught.value.hint
    holder.close()


def test_a_place_that_cannot_be_written_is_an_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(sqlite.Unwritable):
        open_diary(path)


def test_a_full_disk_is_an_error(path: Path) -> None:
    connection = open_diary(path)
    connection.execute("PRAGMA max_page_count = 3")
    with pytest.raises(sqlite.Unwritable, match="disk is full"), ErrorTranslation(path, diary()):
        connection.execute("INSERT INTO page VALUES (zeroblob(100000))")
    connection.close()


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("wal", [True, False])
def test_a_limit_of_the_file_size_is_not_taken_for_a_broken_disk(path: Path, wal: bool) -> None:
    connection = open_diary(path, wal=wal)
    with (
        files_of_at_most(60_000),
        pytest.raises(sqlite.Unwritable, match="File too large") as caught,
        ErrorTranslation(path, diary()),
    ):
        connection.execute("INSERT INTO page VALUES (zeroblob(200000))")
    assert "60,000 bytes" in caught.value.hint and "ulimit -f" in caught.value.hint
    connection.close()


def test_a_full_database_is_no_full_disk_where_the_file_size_is_limited(path: Path) -> None:
    """Which of its codes SQLite returns depends on how much of a page is written."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    with files_of_at_most(60_000):
        translated = ErrorTranslation(path, diary()).translate(error)
    assert translated is not None
    assert "ulimit -f" in translated.hint and "File too large" in str(translated)


def test_a_quota_is_named_in_place_of_a_broken_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def over_quota(**_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    monkeypatch.setattr(sqlite.tempfile, "TemporaryFile", over_quota)
    translated = ErrorTranslation(path, diary()).translate(error)
    assert translated is not None
    assert "quota" in translated.hint and "I/O" not in str(translated)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_folder_that_was_moved_or_replaced_is_not_taken_for_a_broken_disk(tmp_path: Path, replaced: bool) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    connection = open_diary(folder / "diary.db")
    folder.rename(tmp_path / "moved")
    if replaced:
        shutil.copytree(tmp_path / "moved", folder)
    with (
        pytest.raises(sqlite.Unwritable, match="its folder was moved, replaced, or mounted again") as caught,
        ErrorTranslation(folder / "diary.db", diary()),
    ):
        connection.execute("INSERT INTO page VALUES ('one')")
    assert caught.value.hint.startswith("run the command again")
    connection.close()


def test_any_other_trouble_is_an_error_with_advice(path: Path) -> None:
    connection = open_diary(path)
    with pytest.raises(DatabaseError, match="no such table"), ErrorTranslation(path, diary()):
        connection.execute("SELECT * FROM absent")
    connection.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR_LOCK])
def test_a_lock_that_the_system_refuses_is_not_taken_for_a_broken_disk(path: Path, code: int) -> None:
    error = sqlite3.OperationalError("access permission denied")
    error.sqlite_errorcode = code
    translated = ErrorTranslation(path, diary(make_page)).translate(error)
    assert translated is not None
    assert "cannot lock files" in translated.hint


@pytest.mark.long
def test_processes_that_open_a_new_database_at_once_all_succeed(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from astica_sync.local.db.journal import Journal\n"
        "sys.stdin.readline(); Journal(Path(sys.argv[1])).set_meta('seen', True)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.communicate()[0] or process.returncode for process in processes] == [0] * 4


@pytest.mark.long
def test_a_connection_is_not_carried_through_a_fork(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from astica_sync.errors import DatabaseError; from astica_sync.local.db.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); child = os.fork()\n"
        "try: journal.set_meta('by', 'child')\n"
        "except DatabaseError: os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0
    sqlite.refuse_fork(os.getpid())
    with pytest.raises(DatabaseError, match="fork"):
        sqlite.refuse_fork(os.getpid() + 1)


# What a file that came in an archive may contain.


def plant_super_journal(database: Path, victim: Path) -> None:
    """A rollback journal beside the database which says that it is part of a transaction over several databases, whose
    list is the file ``victim``. SQLite deletes that list after the rollback."""
    page = 4096
    magic = bytes.fromhex("d9d505f920a163d7")
    head = magic + struct.pack(">IIIII", 0, 0, database.stat().st_size // page, 512, page)
    name = os.fsencode(victim)
    checksum = sum(struct.unpack(f"{len(name)}b", name)) & 0xFFFFFFFF
    tail = struct.pack(">I", 0x40000000 // page + 1) + name + struct.pack(">II", len(name), checksum) + magic
    sqlite.companion_files(database)[0].write_bytes(head.ljust(512, b"\0") + tail)


def test_sqlite_deletes_the_file_that_a_rollback_journal_names(path: Path, tmp_path: Path) -> None:
    """Why such a journal is refused; if this fails, SQLite has changed."""
    open_diary(path).close()
    letter = tmp_path / "letter"
    letter.write_text("mine")
    plant_super_journal(path, letter)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM page").fetchall()
    assert not letter.exists()


@pytest.mark.parametrize("durable", [True, False])
def test_a_rollback_journal_that_names_another_file_is_refused(path: Path, tmp_path: Path, durable: bool) -> None:
    open_diary(path).close()
    letter = tmp_path / "letter"
    letter.write_text("mine")
    plant_super_journal(path, letter)
    with pytest.raises(sqlite.Damaged, match="names another file") as caught:
        open_diary(path, durable=durable)
    assert caught.value.hint == f"Remove it: rm {path}-journal"
    assert letter.read_text() == "mine"


def test_a_rollback_journal_of_a_killed_process_is_rolled_back(path: Path) -> None:
    open_diary(path).close()
    code = (
        "import os, sqlite3, sys; connection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute('PRAGMA cache_size=1')\n"
        "connection.execute('PRAGMA journal_mode=TRUNCATE')\n"
        "connection.executemany('INSERT INTO page VALUES (?)', [('x' * 4000,)] * 50); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert sqlite.companion_files(path)[0].stat().st_size > 0
    with contextlib.closing(open_diary(path)) as connection:
        assert connection.execute("SELECT count(*) FROM page").fetchone() == (0,)


@pytest.mark.parametrize("to", ["file", "nothing"])
def test_a_link_in_place_of_a_database_is_not_followed(path: Path, tmp_path: Path, to: str) -> None:
    letter = tmp_path / "letter"
    if to == "file":
        letter.write_bytes(b"")
    path.symlink_to(letter)
    with pytest.raises(sqlite.Damaged, match="symbolic link"):
        open_diary(path)
    assert letter.exists() == (to == "file")
    assert not letter.exists() or letter.read_bytes() == b""


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_nor_in_place_of_one_of_its_companions(path: Path, tmp_path: Path, suffix: str) -> None:
    open_diary(path).close()
    letter = tmp_path / "letter"
    letter.write_bytes(b"mine")
    companion = path.with_name(path.name + suffix)
    companion.unlink(missing_ok=True)
    companion.symlink_to(letter)
    with contextlib.suppress(DatabaseError), contextlib.closing(open_diary(path)) as connection:
        connection.execute("INSERT INTO page VALUES ('a')")
    assert letter.read_bytes() == b"mine"


def test_a_database_with_a_trigger_is_refused(path: Path) -> None:
    with contextlib.closing(open_diary(path)) as connection:
        connection.execute("CREATE TRIGGER planted AFTER INSERT ON page BEGIN DELETE FROM page; END")
    with pytest.raises(sqlite.Damaged, match="triggers"):
        open_diary(path)


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        (["ALTER TABLE page RENAME TO other", "CREATE VIEW page AS SELECT * FROM other"], "views"),
        (
            [
                "DROP TABLE page",
                "CREATE VIEW page AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                " SELECT i FROM n WHERE i < 0",
            ],
            "views",
        ),
        (["CREATE VIRTUAL TABLE planted USING fts5(text)"], "virtual tables"),
        (["ALTER TABLE page ADD COLUMN planted AS (1 / 0)"], "computed columns"),
    ],
)
def test_a_database_with_what_computes_when_it_is_read_is_refused(path: Path, statements: list[str], kind: str) -> None:
    with contextlib.closing(open_diary(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    with pytest.raises(sqlite.Damaged, match=kind):
        open_diary(path)


def test_the_schema_of_a_database_is_not_trusted(path: Path) -> None:
    with contextlib.closing(open_diary(path)) as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)


def test_a_new_database_and_its_copy_are_for_their_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        open_diary(path).close()
        open_diary(path, make_page, add_date).close()
    finally:
        os.umask(before)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir() if file.stat().st_size} == {
        "diary.db": "0o600",
        "diary.db.version-1": "0o600",
    }
