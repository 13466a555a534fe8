"""A clock that is a year off, or that is set between two commands, with the real commands under ``faketime``."""

import shutil
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Ran, Shell, draw, in_store, on_service

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed"),
]

AHEAD, BEHIND, RIGHT = "+365d", "-365d", ""


def run_at(shell: Shell, clock: str, *arguments: str | Path) -> Ran:
    """A command whose wall clock is off by so much. Its other clocks are right: setting the time moves none of them."""
    shell.environ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
    ran = shell.finish(shell.start(*arguments, under=["faketime", "-f", clock] if clock else []))
    assert "Traceback" not in ran.err and "internal error" not in ran.err, ran.err
    return ran


@pytest.mark.parametrize(
    "clocks",
    [
        (AHEAD, AHEAD, AHEAD),
        (BEHIND, BEHIND, BEHIND),
        (RIGHT, AHEAD, RIGHT),
        (RIGHT, BEHIND, RIGHT),
        (AHEAD, BEHIND, AHEAD),
        (BEHIND, AHEAD, BEHIND),
    ],
    ids=" ".join,
)
def test_a_clock_that_is_a_year_off_or_jumps_between_commands_loses_and_repeats_nothing(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, clocks: tuple[str, ...]
) -> None:
    for number, clock in enumerate(clocks):
        draw(store / "Can" / f"new{number}.png", 50 + number)
        (store / "Bottle" / f"{number}.png").write_bytes((store / "Can" / f"new{number}.png").read_bytes())
        if number:
            (store / "Bottle" / f"{number - 1}.png").unlink()
        if number == 2:
            # What was removed under the other clock comes back.
            (store / "Bottle" / "0.png").write_bytes((store / "Can" / "new0.png").read_bytes())
        ran = run_at(shell, clock, "push", "--yes", "--store", store)
        assert ran.code == 0, ran.out + ran.err
        assert on_service(sandbox, model_id) == in_store(store)
        sandbox.clear_log()
        status = run_at(shell, clock, "pull-status", "--exit-code", "--store", store)
        assert status.code == 0, status.out + status.err
        assert len(sandbox.log) == 1
        assert run_at(shell, clock, "backup", "verify", "--store", store).code == 0


@pytest.mark.parametrize("clock", [AHEAD, BEHIND])
def test_an_upload_of_unknown_outcome_before_a_jump_of_the_clock_is_not_sent_twice(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, clock: str
) -> None:
    draw(pushed / "Can" / "new.png", 50)
    sandbox.set_faults("upload:1=lost-after")
    killed = shell.start("push", "--store", pushed)
    # A request whose body has not arrived is not done.
    while not any(one.done for one in sandbox.requests_of("upload")) and killed.poll() is None:
        pass
    killed.kill()
    shell.finish(killed)
    for time in (clock, RIGHT):
        ran = run_at(shell, time, "push", "--store", pushed)
        assert ran.code == 0, ran.out + ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)
    assert len(sandbox.requests_of("upload")) == 1
