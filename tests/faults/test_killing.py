"""Real crashes: commands that are killed while answers are lost. ``make crash`` runs more of them."""

import random
from pathlib import Path

import pytest

from tests.crash.loop import Work, run_crashes
from tests.crash.pushes import Pushes
from tests.crash.trainings import Trainings

pytestmark = pytest.mark.long

FIXTURE = Path(__file__).parents[2] / "fixtures" / "store"


@pytest.mark.parametrize(
    ("work", "cycles"),
    [
        pytest.param(Pushes, 2, id="pushes"),
        pytest.param(Pushes, 8, id="more pushes"),
        pytest.param(Trainings, 4, id="trainings"),
    ],
)
def test_commands_killed_at_random_moments_lose_nothing_and_repeat_nothing(work: type[Work], cycles: int) -> None:
    done = run_crashes(work, FIXTURE, cycles, seed=random.randrange(2**32))
    assert done.loop.kills.total() >= cycles
