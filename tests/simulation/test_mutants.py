"""The simulation can fail: the common bugs, put into the code, are noticed within so many walks."""

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, first_catch, planted

QUICK = [mutant for mutant in MUTANTS if mutant.quick]


@pytest.mark.parametrize("mutant", QUICK, ids=[mutant.name for mutant in QUICK])
def test_a_common_bug_is_noticed(mutant: Mutant) -> None:
    after, _ = first_catch(mutant, mutant.quick, 1)
    assert after is not None


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_seeded_bug_fits_the_code_as_it_is(mutant: Mutant) -> None:
    with planted(mutant):
        pass


def test_there_are_at_least_forty_seeded_bugs_with_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
