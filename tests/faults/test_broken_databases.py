"""Index, journal and request budget: flipped, locked, rolled back, deleted.

Files and service decide; a wrong or missing database costs a scan, an observation or a wait, never a sample.
"""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

PAGE = 4096


def change(store: Path) -> None:
    """An addition, a move and a deletion."""
    draw(store / "Can" / "new.png", 50)
    (store / "Bottle" / "000.png").rename(store / "Can" / "moved.png")
    (store / "Glass" / "001.png").unlink()


def databases(shell: Shell, store: Path) -> dict[str, Path]:
    [budget] = shell.home.rglob("budget.db")
    return {"index": store / ".astica-sync/index.db", "journal": store / ".astica-sync/journal.db", "budget": budget}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a locked database are bounded; here the bounds are short."""
    monkeypatch.setattr(Index.__init__, "__defaults__", (0.05,))
    monkeypatch.setattr(Journal.__init__, "__defaults__", ("", 0.05))


@pytest.fixture
def locked() -> Iterator[list[sqlite3.Connection]]:
    held: list[sqlite3.Connection] = []
    yield held
    for connection in held:
        connection.close()


def lock(path: Path, held: list[sqlite3.Connection]) -> None:
    held.append(sqlite3.connect(path, isolation_level=None))
    held[-1].execute("BEGIN EXCLUSIVE")


@pytest.mark.parametrize("name", ["index", "journal", "budget"])
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))])
def test_a_flipped_page_anywhere_costs_no_sample_and_sends_none_twice(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, name: str, seed: int
) -> None:
    dice = random.Random(seed)
    change(pushed)
    # Who lost the budget rests for two windows.
    shell.environ["ASTICA_LIMIT_WINDOW"] = "0.1"
    broken = databases(shell, pushed)[name]
    data = bytearray(broken.read_bytes())
    page = dice.randrange(len(data) // PAGE) * PAGE
    # A whole page, or a part of one: rows that look whole and say something else.
    start = page + dice.choice([0, dice.randrange(PAGE - 64)])
    length = PAGE if start == page else dice.randint(1, 64)
    data[start : start + length] = dice.randbytes(length)
    broken.write_bytes(data)
    ran = shell("push", "--yes", "--store", pushed)
    assert "Traceback" not in ran.err
    assert max(on_service(sandbox, model_id).values()) == 1
    if ran.code != 0:
        assert (name, ran.code) == ("journal", 1), ran.err
        assert "move it away" in ran.err
        broken.rename(broken.with_suffix(".aside"))
        ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 0, ran.err
    held = on_service(sandbox, model_id)
    # What only the journal knew, that a sample whose file is gone was ours, may be lost with it; it is then left.
    assert not in_store(pushed) - held
    assert sum((held - in_store(pushed)).values()) <= 2
    assert shell("backup", "verify", "--store", pushed).code == 0


def test_a_locked_index_does_not_keep_a_push_from_its_work(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, hasty: None, locked: list[sqlite3.Connection]
) -> None:
    change(pushed)
    lock(databases(shell, pushed)["index"], locked)
    ran = shell("push", "--store", pushed)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_locked_journal_stops_a_push_before_its_first_request(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, hasty: None, locked: list[sqlite3.Connection]
) -> None:
    change(pushed)
    lock(databases(shell, pushed)["journal"], locked)
    ran = shell("push", "--store", pushed)
    assert ran.code == 1
    assert "locked by another process" in ran.err
    assert "try again" in ran.err
    assert sandbox.log == []


@pytest.mark.parametrize("names", [("index",), ("journal",), ("index", "journal"), ("index", "journal", "budget")])
def test_databases_rolled_back_to_an_old_copy_send_nothing_twice_and_remove_nothing_wrongly(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path, names: tuple[str, ...]
) -> None:
    files = databases(shell, pushed)
    for name in names:
        shutil.copy2(files[name], tmp_path / name)
    change(pushed)
    assert shell("push", "--store", pushed).code == 0
    draw(pushed / "Can" / "000.png", 60)
    assert shell("push", "--store", pushed).code == 0
    for name in names:
        shutil.copy2(tmp_path / name, files[name])
    sandbox.clear_log()
    ran = shell("push", "--json", "--store", pushed)
    assert ran.json["in_sync"] is True, ran.out
    assert not sandbox.requests_of("upload")
    assert not sandbox.requests_of("sample_remove")
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_journal_rolled_back_over_a_removal_leaves_what_it_does_not_know(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    journal = databases(shell, pushed)["journal"]
    shutil.copy2(journal, tmp_path / "old")
    draw(pushed / "Can" / "new.png", 50)
    assert shell("push", "--store", pushed).code == 0
    (pushed / "Can" / "new.png").unlink()
    shutil.copy2(tmp_path / "old", journal)
    status = shell("pull-status", "--json", "--store", pushed).json
    assert status["remote"]["unmanaged"] == 1
    assert shell("push", "--store", pushed).code == 0
    assert len(sandbox.samples(model_id)) == 9


def test_the_loss_of_the_whole_state_folder_loses_no_sample_of_the_service(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    (pushed / "Can" / "000.png").unlink()
    shutil.rmtree(pushed / ".astica-sync")
    assert shell("push", "--store", pushed).code == 1
    assert shell("init", pushed, "--model", str(model_id)).code == 4, "its disk may be missing"
    assert shell("init", pushed, "--model", str(model_id), "--yes").code == 0
    sandbox.clear_log()
    ran = shell("push", "--json", "--store", pushed)
    assert (ran.code, ran.json["in_sync"]) == (0, True)
    assert [request.call for request in sandbox.log] == ["view"], "what is there is adopted"
    assert on_service(sandbox, model_id) == before, "and what has no file any more is left alone"
    assert len(list((pushed / ".astica-sync" / "backup" / "objects").glob("*/*"))) == 7


def test_a_wrong_index_entry_sends_no_wrong_bytes(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    with sqlite3.connect(databases(shell, pushed)["index"]) as index:
        index.execute("UPDATE file SET content = ? WHERE name = ?", ("0" * 32, b"002.png"))
    index.close()
    ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 3, ran.out
    assert "changed since it was scanned" in ran.out
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.parametrize("name", ["index", "journal"])
def test_index_rows_out_of_order_are_damage_not_absence(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, name: str
) -> None:
    broken = databases(shell, pushed)[name]
    first = min(sample.uid for sample in sandbox.samples(model_id))[:32].encode()
    data = broken.read_bytes()
    assert first in data
    broken.write_bytes(data.replace(first, b"f" * 32))
    ran = shell("push", "--yes", "--store", pushed)
    assert (ran.code, "damaged" in ran.err or "never written" in ran.err) == (1, True), ran.err
    assert not sandbox.requests_of("sample_remove")
    if name == "journal":
        broken.unlink()
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_class_that_a_flipped_byte_renamed_in_the_index_keeps_its_name(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    with sqlite3.connect(databases(shell, pushed)["index"]) as index:
        index.execute("UPDATE folder SET class = 'Tin' WHERE class = 'Can'")
    index.close()
    ran = shell("push", "--yes", "--json", "--store", pushed)
    assert ran.json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]


def test_an_old_journal_adopts_an_unmanaged_sample_only_if_the_backup_has_it(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    """An observation cannot show that another user has added again what was removed here since."""
    journal = databases(shell, pushed)["journal"]
    shutil.copy2(journal, tmp_path / "old")
    gone = (pushed / "Can" / "000.png").read_bytes()
    (pushed / "Can" / "000.png").unlink()
    shell.environ["ASTICA_QUARANTINE"] = "0"
    held = {sample.image: sample.uid for sample in sandbox.samples(model_id)}
    assert shell("push", "--store", pushed).code == 0
    assert shell("push", "--store", pushed).code == 0
    sandbox.add_sample(model_id, "Can", gone, uid=held[gone])
    assert shell("pull-status", "--json", "--store", pushed).json["remote"]["unmanaged"] == 1
    shutil.copy2(tmp_path / "old", journal)
    ran = shell("push", "--json", "--store", pushed)
    assert ran.json["removed"] == 1, "by its own word it sent it, and the file is gone"
    assert shell("backup", "restore", "--to", tmp_path / "back", "--store", pushed).code == 0
    assert (tmp_path / "back" / "Can" / "000.png").read_bytes() == gone


def test_an_old_journal_removes_no_more_than_the_guard_allows(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "many", {"Can": 12, "Bottle": 12})
    model_id = sandbox.add_model()
    assert shell("init", folder, "--model", str(model_id)).code == 0
    assert shell("push", "--store", folder).code == 0
    journal = databases(shell, folder)["journal"]
    shutil.copy2(journal, tmp_path / "old")
    shell.environ["ASTICA_QUARANTINE"] = "0"
    held = [(sample.image, sample.uid) for sample in sandbox.samples(model_id) if sample.class_title == "Can"]
    shutil.rmtree(folder / "Can")
    assert shell("push", "--yes", "--store", folder).code == 0
    for image, uid in held:
        sandbox.add_sample(model_id, "Can", image, uid=uid)
    shutil.copy2(tmp_path / "old", journal)
    sandbox.clear_log()
    assert shell("push", "--store", folder).code == 4
    assert {request.call for request in sandbox.log} == {"view"}
    assert len(sandbox.samples(model_id)) == 24


@pytest.mark.parametrize("name", ["index", "journal"])
@pytest.mark.parametrize("whole", [True, False], ids=["with its -journal", "without"])
def test_a_database_copied_in_the_middle_of_a_commit_costs_no_sample(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path, name: str, whole: bool
) -> None:
    change(pushed)
    path = databases(shell, pushed)[name]
    rollback = path.with_name(path.name + "-journal")
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("PRAGMA cache_size = 1")
    busy.execute("PRAGMA journal_mode = DELETE")
    busy.execute("BEGIN IMMEDIATE")
    # Pages of an open transaction reach the file when they no longer fit in memory.
    busy.execute("CREATE TABLE half (done)")
    busy.executemany("INSERT INTO half VALUES (?)", [("x" * 900,)] * 300)
    for table in ("mark", "history") if name == "journal" else ("file", "folder"):
        busy.execute(f"DELETE FROM {table}")
    assert rollback.stat().st_size > 0
    shutil.copy2(path, tmp_path / "db")
    shutil.copy2(rollback, tmp_path / "rollback")
    busy.execute("ROLLBACK")
    busy.close()
    shutil.copy2(tmp_path / "db", path)
    rollback.unlink(missing_ok=True)
    if whole:
        shutil.copy2(tmp_path / "rollback", rollback)
    ran = shell("push", "--yes", "--store", pushed)
    assert "Traceback" not in ran.err
    if ran.code != 0:
        assert name == "journal" and "move it away" in ran.err, ran.err
        path.rename(path.with_suffix(".aside"))
        assert shell("push", "--yes", "--store", pushed).code == 0
    held = on_service(sandbox, model_id)
    assert max(held.values()) == 1
    assert not in_store(pushed) - held
    # What only the journal knew, that a sample whose file is gone was ours, may be lost with it; it is then left.
    assert sum((held - in_store(pushed)).values()) <= (0 if whole or name == "index" else 2)


@pytest.mark.parametrize("name", ["index", "journal"])
def test_a_database_that_lost_its_write_ahead_log_is_an_old_copy_and_no_more(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path, name: str
) -> None:
    path = databases(shell, pushed)[name]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("PRAGMA wal_autocheckpoint = 0")
    other.execute(f"DELETE FROM {'mark' if name == 'journal' else 'file'}")
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    shutil.copy2(path, tmp_path / "db")
    other.close()
    for left in path.parent.glob(path.name + "*"):
        left.unlink()
    shutil.copy2(tmp_path / "db", path)
    change(pushed)
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)
