"""Random walks through everything that can happen, none of which may break a promise."""

import os
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.runner import CHUNK, Databases, play_many, play_seed, saved_seeds, shrink, stage
from tests.simulation.script import write_script
from tests.simulation.walk import walk

pytest.importorskip("greenlet")

WALKS = int(os.environ.get("ASTICA_TEST_WALKS", "2000"))
PARTS = 40
QUICK_PARTS = 2
"""Those that make test plays; make test-long plays the others."""
# The same in each run, so that a change is judged by what it changes; "fresh" draws another one, as ``make simulate``
# does. The id of a parallel run, which its processes share, is the source of the seed.
SEED = os.environ.get("ASTICA_TEST_SEED") or "1"
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(5)
BASE = int(_RUN[:10], 16) if SEED == "fresh" else int(SEED)
REPEAT = f"all of this run again: ASTICA_TEST_SEED={BASE} ASTICA_TEST_WALKS={WALKS} make test test-long"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def databases() -> Databases:
    with stage() as made:
        yield made


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.long if part >= QUICK_PARTS else ()) for part in range(PARTS)]
)
def test_no_walk_breaks_a_promise(part: int) -> None:
    count = max(CHUNK, WALKS // PARTS)
    report = play_many(BASE + part * count, count)
    assert not report.failures, "\n".join([*map(str, report.failures), REPEAT])
    assert report.walks == count


# Every sixth of the saved seeds in make test, the others in make test-long.
SAVED = [
    pytest.param(seed, id=word, marks=pytest.mark.long if number % 6 else ())
    for number, (seed, word) in enumerate(saved_seeds())
]


@pytest.mark.parametrize("seed", SAVED)
def test_a_walk_that_once_failed_holds_every_promise(seed: int, databases: Databases) -> None:
    assert play_seed(seed, databases).broken is None


@pytest.mark.parametrize("count", [8, pytest.param(50, marks=pytest.mark.long)])
def test_walks_on_databases_in_files_hold_every_promise(count: int) -> None:
    report = play_many(BASE, count, in_files=True)
    assert not report.failures, "\n".join([*map(str, report.failures), REPEAT])


def test_a_failing_walk_says_the_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.simulation.__main__ import main
    from tests.simulation.mutants import MUTANTS, planted

    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no mark before the upload")
    with planted(mutant):
        (failure,) = play_many(1, 1).failures
        said = str(failure)
        command = said.splitlines()[-1].split()
        assert command[:3] == ["python", "-m", "tests.simulation"]
        assert main(command[3:]) == 1
    assert "BROKEN  promise 5:" in capsys.readouterr().out
    assert str(replace(failure, in_files=True)).endswith(" --files")


@pytest.mark.parametrize(
    "seeds", [range(1, 8), pytest.param(range(8, 30), marks=pytest.mark.long)], ids=["few", "more"]
)
def test_the_same_seed_tells_the_same_story(seeds: range, databases: Databases) -> None:
    for seed in seeds:
        first = play_seed(seed, databases, tell=True)
        assert len(first.story) > 10
        assert play_seed(seed, databases, tell=True) == first


def test_the_story_is_the_same_in_another_process_with_other_hashes() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--replay", "3", "--whole"]
    stories = [
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert stories[0] == stories[1]
    assert "push begins" in stories[0]


def test_a_failing_walk_becomes_smaller_and_still_fails(databases: Databases) -> None:
    from tests.simulation.mutants import MUTANTS, planted

    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no mark before the upload")
    with planted(mutant):
        script = next(script for script in map(write_script, range(1, 500)) if walk(script, databases).broken)
        small = shrink(script, databases)
        assert walk(small, databases).broken is not None
    assert len(small.steps) < len(script.steps)
    assert walk(small, databases).broken is None
