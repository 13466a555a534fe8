"""Every effect of a push fails, once and for ever: a sample; ``python -m tests.simulation --sweep`` does them all."""

import pytest

from tests.simulation.runner import stage
from tests.simulation.sweep import SCENARIOS, Scenario, Sweep
from tests.simulation.world import Broken

PARTS = 36


# One failure of nine is played: a quarter of those in make test, the others in make test-long.
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in (9, 18, 27))])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_any_single_failure_is_recovered(scenario: Scenario, part: int) -> None:
    with stage() as databases:
        sweep = Sweep(scenario, databases)
        for number, (name, arm) in enumerate(sweep.all()):
            if number % PARTS == part:
                try:
                    sweep.play(arm)
                except Broken as error:
                    raise AssertionError(f"{scenario.name}: {name}") from error
