"""Random walks through everything that can happen, none of which may break a promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.runner import CHUNK, Databases, play_many, play_seed, saved_seeds, shrink, stage
from tests.simulation.script import write_script
from tests.simulation.walk import walk

pytest.importorskip("greenlet")

WALKS = int(os.environ.get("ASTICA_TEST_WALKS", "1000"))
PARTS = 40
BASE = int(os.environ.get("ASTICA_TEST_SEED", "1"))
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def databases() -> Databases:
    with stage() as made:
        yield made


@pytest.mark.parametrize("part", range(PARTS))
def test_no_walk_breaks_a_promise(part: int) -> None:
    count = max(CHUNK, WALKS // PARTS)
    report = play_many(BASE + part * count, count)
    stories = [f"{failure.text}\n  python -m tests.simulation --replay {failure.seed}" for failure in report.failures]
    assert not stories, f"base seed {BASE} (ASTICA_TEST_SEED):\n" + "\n".join(stories)


@pytest.mark.parametrize("seed", [seed for seed, _ in saved_seeds()], ids=[word for _, word in saved_seeds()])
def test_a_walk_that_once_failed_holds_every_promise(seed: int, databases: Databases) -> None:
    assert play_seed(seed, databases).broken is None


def test_walks_on_databases_in_files_hold_every_promise() -> None:
    assert not play_many(BASE, 50, in_files=True).failures


def test_the_same_seed_tells_the_same_story(databases: Databases) -> None:
    for seed in range(1, 30):
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

    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no quarantine")
    with planted(mutant):
        script = next(script for script in map(write_script, range(1, 500)) if walk(script, databases).broken)
        small = shrink(script, databases)
        assert walk(small, databases).broken is not None
    assert len(small.steps) < len(script.steps)
    assert walk(small, databases).broken is None
