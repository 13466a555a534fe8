"""Stores made by earlier versions open, migrate, push and verify, and a store of a later version is refused.

``fixtures/stores`` keeps one store of each format, with its sandbox; ``fixtures/make_old_stores.py`` makes them.
"""

import contextlib
import json
import os
import runpy
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync.local.db.journal import Journal
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sqlite import WRITER_LOCK, WRITER_LOCK_HOLDER
from tests.harness.shell import Held, Shell, in_store, on_service

FIXTURES = Path(__file__).parents[2] / "fixtures"
STORES = FIXTURES / "stores"
MODEL = "1001"
# Bottle/a.png was moved to Can between the two pushes, and Can/001.jpg was deleted.
SENT = {
    path.relative_to(FIXTURES / "store").as_posix(): path.read_bytes()
    for path in (FIXTURES / "store").glob("*/**/*.[jp]*g")
    if path.parent.name != "raw"
}
CONVERTED = set(runpy.run_path(str(FIXTURES / "make_old_stores.py"))["WITH_CONVERTED"])
"""The versions whose store has Scan/scan.tif, too, which is converted before it is sent."""


@pytest.fixture(params=sorted(path.name.removesuffix(".tar.xz") for path in STORES.iterdir()))
def version(request: pytest.FixtureRequest) -> str:
    """The name of one of the stores."""
    return str(request.param)


@pytest.fixture
def made_by(version: str, tmp_path: Path) -> Path:
    """A copy of what that version left: the store, and the data of the sandbox that it was pushed to."""
    return unpack(version, tmp_path / "made")


def unpack(version: str, target: Path) -> Path:
    if (STORES / version).is_dir():
        return Path(shutil.copytree(STORES / version, target))
    with tarfile.open(STORES / f"{version}.tar.xz") as archive:
        # The argument is younger than Python 3.11.4.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(target)
    return target


@pytest.fixture
def sandbox(made_by: Path) -> Iterator[RunningSandbox]:
    with running(made_by / "service") as box:
        box.set_key("fixture-key")
        yield box


def take_over(shell: Shell, sandbox: RunningSandbox, made_by: Path) -> Path:
    """The store, on this machine, and with its service at the address where the sandbox is now."""
    sentinel = made_by / "store" / ".astica-sync" / "store.json"
    sentinel.write_text(json.dumps({**json.loads(sentinel.read_text()), "train_url": sandbox.url}))
    ran = shell("init", made_by / "store", "--model", MODEL, "--yes")
    assert ran.code == 0, ran.err
    return made_by / "store"


def images_in(store: Path) -> Held:
    """The images of the store; a text file that is called an image is not one."""
    return Counter(one for one in in_store(store) if not one[1].startswith(b"no image"))


def sent_as_they_are(box: RunningSandbox) -> Held:
    """What the service holds, without what was converted."""
    return Counter(one for one in on_service(box, int(MODEL)) if one[0] != "scan")


def test_a_store_of_an_earlier_version_is_in_sync_and_whole(
    shell: Shell, sandbox: RunningSandbox, made_by: Path, version: str
) -> None:
    store = take_over(shell, sandbox, made_by)
    sandbox.clear_log()

    pushed = shell("push", "--store", store, "--json")

    assert pushed.code == 0, pushed.err
    assert pushed.json["uploaded"] == pushed.json["removed"] == 0
    assert pushed.json["in_sync"]
    assert len(sandbox.requests_of("view")) == len(sandbox.log) == 1
    assert sent_as_they_are(sandbox) == images_in(store)
    converted = [one for one in sandbox.samples(int(MODEL)) if one.class_title == "Scan"]
    assert len(converted) == (version in CONVERTED)

    verified = shell("backup", "verify", "--store", store)
    assert verified.code == 0, verified.err
    assert f"{8 + (version in CONVERTED)} objects" in verified.out + verified.err


def test_its_history_and_versions_are_known(shell: Shell, sandbox: RunningSandbox, made_by: Path, version: str) -> None:
    store = take_over(shell, sandbox, made_by)

    log = shell("log", "--store", store).out
    assert log.count("upload") == 9 + (version in CONVERTED)
    assert "Can/001.jpg" in log
    (trained,) = shell("versions", "--store", store, "--json").json["versions"]
    assert trained["name"] == "1001_20001"
    # The first one had no snapshots.
    assert (trained["snapshot"] is None) == (version == "01-first")
    scored = [] if version in ("0.1.0", "01-first") else [(0, 4) if version in CONVERTED else (2, 4)]
    assert [(score["right"], score["shown"]) for score in trained["scores"]] == scored


def test_every_image_that_was_sent_comes_back_from_the_old_backup(
    shell: Shell, sandbox: RunningSandbox, made_by: Path, version: str
) -> None:
    store = take_over(shell, sandbox, made_by)
    (store / "Can" / "002.jpg").unlink()
    originals = {path.name: path.read_bytes() for path in store.glob("Scan/*")}
    assert len(originals) == (version in CONVERTED)

    removed = shell("push", "--store", store, "--json")
    assert removed.code == 0, removed.err
    assert removed.json["removed"] == 1

    restored = made_by / "restored"
    assert shell("backup", "restore", "--store", store, "--to", restored).code == 0
    found = {path.relative_to(restored).as_posix(): path.read_bytes() for path in restored.rglob("*.*g")}
    moved = found.pop("Can/copy-of-moved.png", None) or found.pop("Can/moved.png")
    assert moved == SENT["Bottle/a.png"]
    assert found == SENT
    assert {path.name: path.read_bytes() for path in restored.glob("Scan/*")} == originals


@pytest.mark.parametrize("version", sorted(CONVERTED))
def test_a_changed_recipe_replaces_what_an_earlier_version_converted(
    shell: Shell, sandbox: RunningSandbox, made_by: Path
) -> None:
    store = take_over(shell, sandbox, made_by)
    before = [one.image for one in sandbox.samples(int(MODEL)) if one.class_title == "Scan"]
    settings = store / "astica-sync.toml"
    settings.write_text(settings.read_text() + "max_side = 16\n")

    # At most ten are replaced without a question, but a tenth of a class of one image is none.
    pushed = shell("push", "--store", store, "--json", "--yes")

    assert pushed.code == 0, pushed.err
    assert (pushed.json["uploaded"], pushed.json["removed"]) == (1, 1)
    after = [one.image for one in sandbox.samples(int(MODEL)) if one.class_title == "Scan"]
    assert len(after) == 1 and after != before
    assert sent_as_they_are(sandbox) == images_in(store)


def test_the_data_of_its_version_goes_back_to_the_service(
    shell: Shell, sandbox: RunningSandbox, made_by: Path, version: str
) -> None:
    store = take_over(shell, sandbox, made_by)

    pushed = shell("push", "--as", "1001_20001", "--store", store, "--yes")

    if version == "01-first":
        assert pushed.code == 1 and "1001_20001" in pushed.err
        assert sent_as_they_are(sandbox) == images_in(store)
    else:
        assert pushed.code == 0, pushed.err
        backup = store / ".astica-sync" / "backup"
        (snapshot,) = (backup / "snapshots").iterdir()
        trained_on = [json.loads(line) for line in snapshot.read_text("utf-8").splitlines() if line]
        names = [(one["class"], "{0:.2}/{0}.{1}".format(one["content"], one["extension"])) for one in trained_on]
        expected = Counter(
            (title.casefold(), (backup / "objects" / name).read_bytes()) for title, name in names if title != "Scan"
        )
        assert sent_as_they_are(sandbox) == expected != images_in(store)


def test_the_journal_is_migrated_and_the_old_one_kept(shell: Shell, sandbox: RunningSandbox, made_by: Path) -> None:
    journal = made_by / "store" / ".astica-sync" / "journal.db"
    before = schema_version(journal)
    marks = rows_of(journal, "SELECT uid, class, state, path FROM mark WHERE state = 'agreed' ORDER BY uid")
    store = take_over(shell, sandbox, made_by)

    assert shell("push", "--store", store).code == 0

    assert schema_version(journal) == 2
    assert rows_of(journal, "SELECT uid, class, state, path FROM mark WHERE state = 'agreed' ORDER BY uid") == marks
    copies = {path.name for path in journal.parent.glob("journal.db.version-*")}
    assert copies == (set() if before == 2 else {f"journal.db.version-{before}"})
    for name in copies:
        assert (
            rows_of(
                journal.with_name(name), "SELECT uid, class, state, path FROM mark WHERE state = 'agreed' ORDER BY uid"
            )
            == marks
        )


def test_an_upload_whose_answer_an_earlier_version_did_not_see_is_not_sent_again(
    shell: Shell, sandbox: RunningSandbox, made_by: Path
) -> None:
    """That version was killed between the request and its answer, and the upgrade came next."""
    journal = made_by / "store" / ".astica-sync" / "journal.db"
    write(journal, "UPDATE mark SET state = 'attempted' WHERE path = CAST('Bottle/b.png' AS BLOB)")
    of_it = "SELECT state FROM mark WHERE path = CAST('Bottle/b.png' AS BLOB)"
    assert rows_of(journal, of_it) == [("attempted",)]
    store = take_over(shell, sandbox, made_by)

    pushed = shell("push", "--store", store, "--json")

    assert pushed.code == 0 and pushed.json["uploaded"] == pushed.json["removed"] == 0
    assert rows_of(journal, of_it) == [("agreed",)]
    assert sent_as_they_are(sandbox) == images_in(store)


def schema_version(database: Path) -> int:
    return int(rows_of(database, "PRAGMA user_version")[0][0])


def rows_of(database: Path, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_the_script_names_each_store_and_no_store_names_a_machine(made_by: Path, version: str) -> None:
    assert version in {*runpy.run_path(str(FIXTURES / "make_old_stores.py"))["COMMITS"], "0.1.0"}
    for path in made_by.rglob("*"):
        if path.is_file() and path.suffix != ".npz":
            data = path.read_bytes()
            assert not any(name in data for name in (b"/tmp", b"/home/", b"/root/", b"/work/", b"/Users/")), path


def write(database: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize("version", ["08-services"])
class TestAStoreOfALaterVersion:
    """Nothing is sent, and the message says which file it is and what helps."""

    @pytest.mark.parametrize("command", ["push", "pull-status"])
    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("index.db", "upgrade astica-sync, or delete it: the next scan rebuilds it"),
            ("journal.db", "upgrade astica-sync"),
        ],
    )
    def test_its_databases_are_refused(
        self, shell: Shell, sandbox: RunningSandbox, made_by: Path, command: str, name: str, hint: str
    ) -> None:
        store = take_over(shell, sandbox, made_by)
        sandbox.clear_log()
        database = store / ".astica-sync" / name
        write(database, "PRAGMA user_version = 99")

        ran = shell(command, "--store", store)

        assert ran.code == 1
        assert f"{name} was written by a newer version of astica-sync" in " ".join(ran.err.split())
        assert hint in " ".join(ran.err.split())
        assert not sandbox.log

    @pytest.mark.parametrize("command", ["push", "pull-status", "init"])
    def test_its_sentinel_is_refused_and_not_written_over(
        self, shell: Shell, sandbox: RunningSandbox, made_by: Path, command: str
    ) -> None:
        store = take_over(shell, sandbox, made_by)
        sandbox.clear_log()
        sentinel = store / ".astica-sync" / "store.json"
        sentinel.write_text(json.dumps({**json.loads(sentinel.read_text()), "format": 2, "another": []}))
        before = sentinel.read_bytes()

        ran = shell(*(("init", store, "--model", MODEL, "--yes") if command == "init" else (command, "--store", store)))

        assert ran.code == 1
        assert "was made by a newer version of astica-sync" in " ".join(ran.err.split())
        assert "upgrade astica-sync" in ran.err
        assert sentinel.read_bytes() == before
        assert not sandbox.log

    @pytest.mark.parametrize("text", ["later = 1\n", "limits = 1\n"])
    def test_its_settings_are_refused(self, shell: Shell, sandbox: RunningSandbox, made_by: Path, text: str) -> None:
        store = take_over(shell, sandbox, made_by)
        sandbox.clear_log()
        (store / "astica-sync.toml").write_text(text)

        ran = shell("push", "--store", store)

        assert ran.code == 1
        assert "is not a setting" in " ".join(ran.err.split()) and "upgrade astica-sync" in " ".join(ran.err.split())
        assert not sandbox.log

    def test_its_backup_is_read_all_the_same(self, shell: Shell, sandbox: RunningSandbox, made_by: Path) -> None:
        """Keys that this version does not know are ignored, as docs/backup-format.md says."""
        store = take_over(shell, sandbox, made_by)
        catalog = store / ".astica-sync" / "backup" / "catalog.jsonl"
        lines = [{**json.loads(line), "later": {"a": 1}} for line in catalog.read_text().splitlines() if line]
        catalog.write_text("".join(json.dumps(line) + "\n" for line in lines))

        restored = made_by / "restored"
        assert shell("backup", "restore", "--store", store, "--to", restored).code == 0
        assert (restored / "Can" / "001.jpg").read_bytes() == SENT["Can/001.jpg"]


HOLD = """
import sys
from pathlib import Path
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
with writer_lock(Layout(Path(sys.argv[1])), command="push"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_by_another_process(store: Path) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.stdin.close()


@pytest.mark.parametrize("version", ["04-touched"])
class TestAnOldStoreInUse:
    """A process of the earlier version may be at work there; its journal keeps the form that this process knows."""

    @pytest.mark.parametrize(
        "command", [("push",), *(pytest.param(one, marks=pytest.mark.long) for one in (("pull-status",), ("log",)))]
    )
    def test_it_is_not_migrated(
        self, shell: Shell, sandbox: RunningSandbox, made_by: Path, command: tuple[str, ...]
    ) -> None:
        store = made_by / "store"
        journal = store / ".astica-sync" / "journal.db"
        copy = journal.with_name("copy.db")
        shutil.copy(journal, copy)
        take_over(shell, sandbox, made_by)
        for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
            journal.with_name(name).unlink(missing_ok=True)
        shutil.copy(copy, journal)
        sandbox.clear_log()
        with held_by_another_process(store):
            ran = shell(*command, "--store", store)
            assert ran.code == 1
            assert "is of an earlier version of astica-sync, and is not changed while another" in ran.err
            assert "astica-sync doctor names it" in " ".join(ran.err.split())
            assert schema_version(journal) == 1
            assert sandbox.requests_of("upload") == sandbox.requests_of("sample_remove") == []
        ran = shell("push", "--store", store)
        assert ran.code == 0, ran.err
        assert schema_version(journal) == 2
        assert sent_as_they_are(sandbox) == images_in(store)

    def test_the_process_that_writes_migrates_it(self, made_by: Path) -> None:
        layout = Layout(made_by / "store")
        with writer_lock(layout), contextlib.closing(Journal(layout.journal_db)):
            assert schema_version(layout.journal_db) == 2


def test_the_lock_of_a_store_is_where_a_migration_looks_for_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.state.mkdir()
    assert layout.lock_file == layout.journal_db.with_name(WRITER_LOCK)
    with writer_lock(layout):
        assert json.loads(layout.journal_db.with_name(WRITER_LOCK_HOLDER).read_text())["pid"] == os.getpid()
