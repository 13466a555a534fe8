"""Real crashes: pushes that are killed while answers are lost. ``make crash`` goes on for longer."""

import random
from pathlib import Path

from killing import kill_pushes

FIXTURE = Path(__file__).parents[2] / "fixtures" / "store"


def test_pushes_killed_at_random_moments_lose_nothing_and_send_nothing_twice() -> None:
    loop = kill_pushes(FIXTURE, cycles=8, seed=random.randrange(2**32))
    assert loop.kills.total() == 8
