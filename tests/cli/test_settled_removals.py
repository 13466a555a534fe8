"""A confirmed removal is the last word about a sample: nothing waits for it longer than until the service shows it."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell, fill, in_store, on_service
from tests.harness.watch_process import wait_until

LONG = "30"
"""Seconds of quarantine: far longer than any of these tests."""


@pytest.fixture(autouse=True)
def long_quarantine(shell: Shell) -> None:
    shell.environ["ASTICA_QUARANTINE"] = LONG


def marks(store: Path) -> list[tuple[str, str]]:
    """The class and state of each mark."""
    with sqlite3.connect(store / ".astica-sync" / "journal.db") as journal:
        return journal.execute("SELECT class, state FROM mark ORDER BY class, uid").fetchall()


def removals(sandbox: RunningSandbox) -> int:
    return len(sandbox.requests_of("sample_remove") + sandbox.requests_of("class_remove"))


def test_a_confirmed_removal_is_forgotten_a_quarantine_later_by_pushes_however_short(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "1"
    (pushed / "Can" / "000.png").unlink()
    assert shell("push", "--store", pushed).code == 0
    assert ("Can", "removed") in marks(pushed)
    for _ in range(100):
        assert shell("push", "--store", pushed).code == 0
        if ("Can", "removed") not in marks(pushed):
            break
    assert marks(pushed) == [("Bottle", "agreed")] * 2 + [("Can", "agreed")] * 2
    assert removals(sandbox) == 1


def test_two_stores_that_share_an_image_come_to_rest_whatever_one_removes(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    other = fill(tmp_path / "other", {"Can": 1}, start=2)
    shared = other / "Can" / "000.png"
    assert shared.read_bytes() == (pushed / "Can" / "000.png").read_bytes()
    assert shell("init", other, "--model", str(model_id), "--yes").code == 0
    assert shell("push", "--store", other).code == 0
    (pushed / "Can" / "000.png").unlink()
    for _ in range(4):
        assert shell("push", "--store", pushed).code == 0
        assert shell("push", "--store", other).code == 0
    assert removals(sandbox) == 1
    assert on_service(sandbox, model_id) == in_store(pushed) + in_store(other)
    for store in (pushed, other):
        sandbox.clear_log()
        assert shell("push", "--store", store).code == 0
        assert len(sandbox.log) == 1


def test_what_another_store_sends_after_a_removal_in_doubt_is_that_store_s(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    """A store is killed while it sends an image that another one sends as well, and removes what it sees of it."""
    other = fill(tmp_path / "other", {"Can": 1}, start=900)
    shared = pushed / "Can" / "shared.png"
    shared.write_bytes((other / "Can" / "000.png").read_bytes())
    sandbox.set_faults("upload:1=lost-before")
    process = shell.start("push", "--store", pushed)
    wait_until(lambda: sandbox.requests_of("upload") and ("Can", "attempted") in marks(pushed))
    process.kill()
    shell.finish(process)
    sandbox.set_faults()
    assert shell("init", other, "--model", str(model_id), "--yes").code == 0
    assert shell("push", "--store", other).code == 0
    shared.unlink()
    assert shell("push", "--store", pushed).code == 0
    assert removals(sandbox) == 1 and ("Can", "removed") in marks(pushed)
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("push", "--store", other).code == 0
    assert shell("push", "--store", pushed).code == 0
    assert removals(sandbox) == 1
    assert on_service(sandbox, model_id) == in_store(pushed) + in_store(other)


def test_the_status_says_that_a_removed_sample_was_made_again_elsewhere(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    other = fill(tmp_path / "other", {"Can": 1}, start=2)
    assert shell("init", other, "--model", str(model_id), "--yes").code == 0
    assert shell("push", "--store", other).code == 0
    (pushed / "Can" / "000.png").unlink()
    assert shell("push", "--store", pushed).code == 0
    assert shell("push", "--store", other).code == 0
    status = shell("pull-status", "--store", pushed)
    assert "(made again elsewhere after this store removed it)" in status.out
    shown = shell("pull-status", "--json", "--store", pushed).json
    assert [one["reason"] for one in shown["unmanaged"]] == ["made again elsewhere after this store removed it"]
    assert shown["remote"]["unmanaged"] == 1 and shown["in_sync"]


def test_a_file_that_is_moved_and_moved_back_waits_for_nothing(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    for here, there in (("Can", "Bottle"), ("Bottle", "Can")):
        (pushed / here / "002.png").rename(pushed / there / "002.png")
        ran = shell("push", "--store", pushed)
        assert ran.code == 0
        assert "waiting" not in ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)


def move_back(store: Path, here: str, there: str) -> None:
    (store / here / "002.png").rename(store / there / "002.png")


def delete_and_put_back(store: Path, here: str, there: str) -> None:
    file, aside = store / "Can" / "002.png", store.parent / "aside.png"
    file.rename(aside) if file.exists() else aside.rename(file)


def delete_class_and_put_it_back(store: Path, here: str, there: str) -> None:
    folder, aside = store / "Can", store.parent / "aside"
    folder.rename(aside) if folder.exists() else aside.rename(folder)


class SandboxClock:
    """A clock of the sandbox that can be set forward, in seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> SandboxClock:
    return SandboxClock()


@pytest.fixture
def sandbox(clock: SandboxClock) -> Iterator[RunningSandbox]:
    with running(now=clock) as box:
        yield box


@pytest.mark.parametrize("change", [move_back, delete_and_put_back, delete_class_and_put_it_back])
def test_an_undo_waits_for_the_service_to_show_the_removal_and_says_so(
    shell: Shell,
    sandbox: RunningSandbox,
    pushed: Path,
    model_id: int,
    clock: SandboxClock,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, str, str], None],
) -> None:
    monkeypatch.setattr("astica_sync.cli.render.live.progress.SHORTEST_WAIT", 0.0)
    # Who waits for the quarantine here waits for ever.
    shell.environ["ASTICA_QUARANTINE"] = "3600"
    clock.ahead = 1000.0
    change(pushed, "Can", "Bottle")
    assert shell("push", "--yes", "--store", pushed).code == 0
    change(pushed, "Bottle", "Can")
    # A view shows what was there before the first push, until the clock of the sandbox is ahead of it as well.
    sandbox.set_switches(view_lag=500.0)
    sleep = SystemClock.sleep

    def sleep_ahead(self: SystemClock, seconds: float) -> None:
        clock.ahead += 400.0
        sleep(self, seconds)

    monkeypatch.setattr(SystemClock, "sleep", sleep_ahead)
    ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 0, ran.err
    assert re.search(r"png: removed \d+ s ago; waiting until the service shows it", ran.err), ran.err
    assert "lost" not in ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_an_older_view_does_not_prove_that_an_image_was_sent_again(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    """It was removed, put back and sent without an answer; a view that lags shows the copy that was removed."""
    image, all_there, began = pushed / "Can" / "000.png", in_store(pushed), time.time()
    data = image.read_bytes()
    image.unlink()
    assert shell("push", "--store", pushed).code == 0
    image.write_bytes(data)
    sandbox.clear_log()
    sandbox.set_faults("upload=lost-before")
    sending = shell.start("push", "--store", pushed)
    wait_until(lambda: sandbox.requests_of("upload"))
    sending.kill()
    shell.finish(sending)
    sandbox.set_faults()
    sandbox.set_switches(view_lag=time.time() - began)
    found = shell("status", "--json", "--store", pushed).json
    assert found["remote"]["managed"] == all_there.total() and found["in_sync"] is False, found
    assert [one["class"] for one in found["waiting"]] == ["Can"], found
    sandbox.set_switches(view_lag=0.0)
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert on_service(sandbox, model_id) == all_there
