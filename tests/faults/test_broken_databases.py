"""Index, journal and request budget: flipped, locked, rolled back, deleted. The files decide, and the service; what a
database says wrongly or not at all costs a scan, an observation or a wait, never a sample."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import Shell, draw, in_store, on_service

from astica_sync.sandbox.running import Box
from astica_sync.store.index import Index
from astica_sync.store.journal import Journal

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
@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_page_anywhere_costs_no_sample_and_sends_none_twice(
    shell: Shell, sandbox: Box, pushed: Path, model_id: int, name: str, seed: int
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
    shell: Shell, sandbox: Box, pushed: Path, model_id: int, hasty: None, locked: list[sqlite3.Connection]
) -> None:
    change(pushed)
    lock(databases(shell, pushed)["index"], locked)
    ran = shell("push", "--store", pushed)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_locked_journal_stops_a_push_before_its_first_request(
    shell: Shell, sandbox: Box, pushed: Path, hasty: None, locked: list[sqlite3.Connection]
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
    shell: Shell, sandbox: Box, pushed: Path, model_id: int, tmp_path: Path, names: tuple[str, ...]
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
    sandbox.forget_log()
    ran = shell("push", "--json", "--store", pushed)
    assert ran.json["in_sync"] is True, ran.out
    assert not sandbox.seen("upload")
    assert not sandbox.seen("sample_remove")
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_journal_rolled_back_over_a_removal_leaves_what_it_does_not_know(
    shell: Shell, sandbox: Box, pushed: Path, model_id: int, tmp_path: Path
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
    shell: Shell, sandbox: Box, pushed: Path, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    (pushed / "Can" / "000.png").unlink()
    shutil.rmtree(pushed / ".astica-sync")
    assert shell("push", "--store", pushed).code == 1
    assert shell("init", pushed, "--model", str(model_id)).code == 0
    sandbox.forget_log()
    ran = shell("push", "--json", "--store", pushed)
    assert (ran.code, ran.json["in_sync"]) == (0, True)
    assert [request.call for request in sandbox.log] == ["view"], "what is there is adopted"
    assert on_service(sandbox, model_id) == before, "and what has no file any more is left alone"
    assert len(list((pushed / ".astica-sync" / "backup" / "objects").glob("*/*"))) == 7


def test_an_index_that_lies_about_a_file_sends_no_wrong_bytes(
    shell: Shell, sandbox: Box, pushed: Path, model_id: int
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
def test_rows_that_a_flipped_byte_has_put_out_of_order_are_damage_and_no_absence(
    shell: Shell, sandbox: Box, pushed: Path, model_id: int, name: str
) -> None:
    broken = databases(shell, pushed)[name]
    first = min(sample.uid for sample in sandbox.samples(model_id))[:32].encode()
    data = broken.read_bytes()
    assert first in data
    broken.write_bytes(data.replace(first, b"f" * 32))
    ran = shell("push", "--yes", "--store", pushed)
    assert (ran.code, "damaged" in ran.err or "never written" in ran.err) == (1, True), ran.err
    assert not sandbox.seen("sample_remove")
    if name == "journal":
        broken.unlink()
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_class_that_a_flipped_byte_renamed_in_the_index_keeps_its_name(
    shell: Shell, sandbox: Box, pushed: Path, model_id: int
) -> None:
    with sqlite3.connect(databases(shell, pushed)["index"]) as index:
        index.execute("UPDATE folder SET class = 'Tin' WHERE class = 'Can'")
    index.close()
    ran = shell("push", "--yes", "--json", "--store", pushed)
    assert ran.json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]
