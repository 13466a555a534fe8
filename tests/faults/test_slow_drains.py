"""Ways to empty a model a few images at a time, which the guard of each push alone would let through."""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

ALLOWED = 10


@pytest.fixture
def classes() -> dict[str, int]:
    return {"Bottle": 24, "Can": 24}


def move_over_another_class(store: Path, step: int) -> None:
    os.replace(store / "Bottle" / f"{step:03}.png", store / "Can" / f"{step:03}.png")


def copy_over_another_class(store: Path, step: int) -> None:
    shutil.copyfile(store / "Bottle" / f"{step:03}.png", store / "Can" / f"{step:03}.png")


def move_over_the_same_class(store: Path, step: int) -> None:
    os.replace(store / "Can" / f"{23 - step:03}.png", store / "Can" / f"{step:03}.png")


def delete_one_and_number_the_others_again(store: Path, step: int) -> None:
    (store / "Can" / "000.png").unlink()
    for number, path in enumerate(sorted((store / "Can").iterdir())):
        path.rename(store / "Can" / f"{number:03}.png")


@pytest.mark.long
@pytest.mark.parametrize(
    "lose",
    [
        move_over_another_class,
        copy_over_another_class,
        move_over_the_same_class,
        delete_one_and_number_the_others_again,
    ],
)
def test_an_image_that_another_one_of_the_store_overwrites_is_a_loss(
    shell: Shell, pushed: Path, lose: Callable[[Path, int], None]
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    shell.environ["ASTICA_LIMIT"] = "1000000"
    step, ran = 0, None
    while ran is None or ran.code == 0:
        assert step <= ALLOWED, "nothing stops it"
        lose(pushed, step)
        ran = shell("push", "--store", pushed)
        step += 1
    # A plan that moves an image as well has two removals.
    assert step >= ALLOWED and ran.code == 4, ran.out
    assert f"after {step - 1} removal" in ran.out


@pytest.mark.long
def test_removals_of_a_push_that_was_killed_before_their_answers_count(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    for path in sorted((pushed / "Can").iterdir())[:8]:
        path.unlink()
    sandbox.set_faults("sample_remove=slow~60s")
    process = shell.start("push", "--store", pushed)
    end = time.monotonic() + 60
    while len(sandbox.samples(model_id)) > 40 and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    sandbox.set_faults()
    assert len(sandbox.samples(model_id)) == 40
    assert shell("push", "--store", pushed).code == 0
    for path in sorted((pushed / "Can").iterdir())[:3]:
        path.unlink()
    ran = shell("push", "--store", pushed)
    assert ran.code == 4, ran.out
    assert "after 8 removals in the last 24 hours" in ran.out
    assert shell("log", "--store", pushed).out.count("no answer was noted") == 8


def test_a_removal_with_an_answer_is_in_the_history_once(shell: Shell, pushed: Path) -> None:
    (pushed / "Can" / "000.png").unlink()
    assert shell("push", "--store", pushed).code == 0
    shown = shell("log", "--store", pushed).out
    assert shown.count("remove ") == 1 and "no answer was noted" not in shown, shown


@pytest.mark.parametrize(("hours", "code"), [(2, 0), (30, 4)])
def test_edits_count_as_edits_while_the_guard_remembers(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, hours: int, code: int
) -> None:
    """Uploading the edits of a whole store takes hours, and the old images are removed after them."""
    shell.environ["ASTICA_QUARANTINE"] = "0"
    for step in range(8):
        draw(pushed / "Can" / f"{step:03}.png", 300 + step)
    sandbox.set_faults("sample_remove=html")
    assert shell("push", "--store", pushed).code != 0
    sandbox.set_faults()
    assert len(sandbox.samples(model_id)) == 56
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync" / "journal.db")) as journal, journal:
        journal.execute("UPDATE mark SET sent_at = sent_at - ?", (hours * 3600,))
        # The attempts that were not done are no removals.
        journal.execute("DELETE FROM history WHERE action = 'remove'")
    assert shell("push", "--store", pushed).code == 0
    assert len(sandbox.samples(model_id)) == 48
    for step in range(5):
        (pushed / "Bottle" / f"{step:03}.png").unlink()
    ran = shell("push", "--store", pushed)
    assert ran.code == code, ran.out
