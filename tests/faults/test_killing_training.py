"""Real crashes of ``train``, ``models create``, ``init --create`` and ``push --as``, while answers are lost."""

import random
from pathlib import Path

from killing_training import kill_trainings

FIXTURE = Path(__file__).parents[2] / "fixtures" / "store"


def test_what_was_killed_is_picked_up_and_nothing_is_made_or_trained_twice() -> None:
    story = kill_trainings(FIXTURE, cycles=4, seed=random.randrange(2**32))
    assert story.ends
