"""A folder that loses its files slowly, under a real watcher and beside it: the guard stops at its allowance."""

import shutil
import time
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service
from tests.harness.watch_process import Start, WatchProcess, in_sync, wait_until

# Minutes of real time under a watcher.
pytestmark = pytest.mark.long

CLASSES = {"Bottle": 40, "Can": 40, "Glass": 40}
ALLOWED = 12
"""A tenth of all."""


@pytest.fixture
def classes() -> dict[str, int]:
    return CLASSES


@pytest.fixture
def running(shell: Shell, store: Path, sandbox: RunningSandbox, model_id: int, watch: Start) -> WatchProcess:
    """A watcher of 120 images, all of them sent."""
    assert shell("push", "--store", store).code == 0
    watching = watch(store)
    wait_until(lambda: watching.events)
    return watching


def left(sandbox: RunningSandbox, model_id: int) -> int:
    try:
        return len(sandbox.samples(model_id))
    except FileNotFoundError:
        # An image went while it was read.
        return -1


def files(store: Path, by_class: bool) -> list[Path]:
    """All images, one class after the other or one of each in turn."""
    listed = sorted(store.glob("*/*.png"))
    return listed if by_class else sorted(listed, key=lambda path: (path.name, path.parent.name))


@pytest.mark.parametrize("way", ["deleted", "moved out", "class by class"])
def test_files_that_go_one_by_one_stop_at_the_allowance(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, running: WatchProcess, tmp_path: Path, way: str
) -> None:
    for number, path in enumerate(files(store, way == "class by class")[:30]):
        if way == "moved out":
            shutil.move(path, tmp_path / f"out-{number}.png")
        else:
            path.unlink()
        if number < ALLOWED:
            wait_until(lambda number=number: left(sandbox, model_id) == 120 - number - 1)
        else:
            time.sleep(0.05)
    wait_until(lambda: running.reported("refused", "24 hours"))
    assert left(sandbox, model_id) == 120 - ALLOWED
    # A push beside the watcher counts what the watcher has removed, and so does the next.
    for _ in range(2):
        ran = shell("push", "--store", store)
        assert ran.code == 4, ran.out
        assert f"after {ALLOWED} removals in the last 24 hours" in ran.out
    assert left(sandbox, model_id) == 120 - ALLOWED
    assert shell("push", "--yes", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(store)


def test_renames_moves_and_edits_do_not_count(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, running: WatchProcess
) -> None:
    for number, path in enumerate(files(store, by_class=False)[:30]):
        path.rename(path.with_name(f"renamed-{number}.png"))
    for step in range(2):
        for number, path in enumerate(sorted((store / "Can").iterdir())[:8]):
            path.rename(store / "Glass" / f"moved-{step}-{number}.png")
        wait_until(lambda: in_sync(sandbox, model_id, store), seconds=60)
        for number, path in enumerate(sorted((store / "Bottle").iterdir())[10 * step :][:8]):
            draw(path, 500 + 10 * step + number)
        wait_until(lambda: in_sync(sandbox, model_id, store), seconds=60)
    assert not running.reported("refused")
    # The allowance is whole.
    for path in files(store, by_class=False)[:10]:
        path.unlink()
    wait_until(lambda: in_sync(sandbox, model_id, store), seconds=90)


def test_what_push_as_removes_counts(shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int) -> None:
    for path in files(store, by_class=False)[8:]:
        path.unlink()
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    fill(store, {"Bottle": 8}, start=300)
    fill(store / "x", {}, start=0)
    assert shell("push", "--store", store).code == 0
    assert shell("push", "--as", "@1", "--store", store).code == 0
    assert shell("push", "--store", store).code == 0
    for path in files(store, by_class=False)[:4]:
        path.unlink()
    ran = shell("push", "--store", store)
    assert ran.code == 4, ran.out
    assert "removals in the last 24 hours" in ran.out
