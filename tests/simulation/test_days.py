"""Long days of a watcher: 72 hours of outages, sleeps, kills and people, in virtual time."""

import os

import pytest

from tests.simulation.runner import Databases, play_many, play_seed, stage

pytest.importorskip("greenlet")

DAYS = int(os.environ.get("ASTICA_TEST_DAYS", "12"))
PARTS = 4
# Days are too few for fresh ones to find much: the same in each run.
BASE = 1
# Days that find the seeded bug of that name.
FOUND = {11: "the watcher concludes absence from events alone"}


@pytest.fixture(scope="module")
def databases() -> Databases:
    with stage() as made:
        yield made


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, PARTS))])
def test_no_long_day_breaks_a_promise(part: int) -> None:
    count = max(1, DAYS // PARTS)
    report = play_many(BASE + part * count, count, days=True)
    stories = [f"{each.text}\n  python -m tests.simulation --replay {each.seed} --days" for each in report.failures]
    assert not stories, "\n".join(stories)


@pytest.mark.parametrize("seed", FOUND, ids=FOUND.values())
def test_a_long_day_that_finds_a_seeded_bug_holds_without_it(seed: int, databases: Databases) -> None:
    assert play_seed(seed, databases, days=True).broken is None


def test_a_long_day_lasts_three_days_and_tells_the_same_story_twice(databases: Databases) -> None:
    first = play_seed(3, databases, tell=True, days=True)
    assert float(first.story[-1].split()[0]) > 72 * 3600
    assert play_seed(3, databases, tell=True, days=True) == first
