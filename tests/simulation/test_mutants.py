"""The simulation can fail: common bugs, planted in the code, are noticed within a number of walks."""

import pytest

from tests.simulation import mutants
from tests.simulation.mutants import MUTANTS, Mutant, first_catch, planted
from tests.simulation.mutants.seams import Change, change_argument, mutant, replace, within, wrap

MOST_WALKS = 50
QUICK = [mutant for mutant in MUTANTS if mutant.quick]


# Those that need many walks are left to make test-long.
@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, id=mutant.name, marks=pytest.mark.long if mutant.quick > MOST_WALKS else ())
        for mutant in QUICK
    ],
)
def test_a_common_bug_is_noticed(mutant: Mutant) -> None:
    after, _ = first_catch(mutant, mutant.quick, 1)
    assert after is not None


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_seeded_bug_fits_the_code_as_it_is(mutant: Mutant) -> None:
    with planted(mutant):
        pass


def test_there_are_at_least_forty_seeded_bugs_with_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40


QUICK_SEAM = "tests.simulation.mutants.hunt:first_catch"


@pytest.mark.parametrize(
    "change",
    [
        replace("tests.simulation.mutants.hunt:no_such_function", lambda: None),
        replace("tests.simulation.no_such_module:function", lambda: None),
        replace(QUICK_SEAM, lambda mutant, walks: None),
        wrap(QUICK_SEAM, lambda original, mutant, walks, first, more: None),
        within("tests.simulation.mutants.hunt:no_such_caller", QUICK_SEAM, lambda original, scope, *args: None),
        within("tests.simulation.mutants.seams:mutant", QUICK_SEAM, lambda original, scope, *args: None),
        change_argument(QUICK_SEAM, "no_such_parameter", lambda value: value),
    ],
)
def test_a_bug_that_does_not_fit_its_seam_is_an_error(change: Change) -> None:
    with pytest.raises(LookupError), planted(mutant("it does not fit", change)):
        pass


def test_a_planted_bug_is_everywhere_and_ends_with_the_block() -> None:
    before = mutants.first_catch
    change = wrap(QUICK_SEAM, lambda original, *args: ("planted", *args))
    with planted(mutant("an answer of its own", change)):
        assert mutants.first_catch(MUTANTS[0], first=3, walks=2) == ("planted", MUTANTS[0], 2, 3)  # type: ignore[comparison-overlap]
    assert mutants.first_catch is before is first_catch
