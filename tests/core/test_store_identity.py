"""The decision about a folder with a sentinel, against the table in the documentation for each combination of facts."""

import itertools
from pathlib import Path

import pytest

from astica_sync.core.store_identity import IdentityFacts, Likeness, Number, RecordedPlace, Verdict, judge_identity

PAGE = Path(__file__).parents[2] / "docs" / "dev" / "identity.md"
COLUMNS = ("place", "user", "machine", "number", "same device")


def rows() -> list[list[str]]:
    lines = PAGE.read_text("utf-8").split("| place | user | machine |")[1].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("|")]


def by_table(facts: IdentityFacts) -> tuple[int, str]:
    values = (facts.place, facts.user, facts.machine, facts.number, "yes" if facts.same_device else "no")
    for place, row in enumerate(rows()):
        if all(cell == "any" or value in cell.split(", ") for cell, value in zip(row, values, strict=False)):
            return place, row[len(COLUMNS)]
    pytest.fail(f"no row for {facts}")


EVERYTHING = [
    IdentityFacts(*facts) for facts in itertools.product(Likeness, Likeness, Number, RecordedPlace, (True, False))
]


def test_each_combination_is_decided_as_the_table_says() -> None:
    for facts in EVERYTHING:
        assert judge_identity(facts) == by_table(facts)[1], facts


def test_each_row_of_the_table_decides_something() -> None:
    assert {by_table(facts)[0] for facts in EVERYTHING} == set(range(len(rows())))


def test_what_was_copied_never_goes_on_by_a_number_that_proves_nothing_at_another_path() -> None:
    for facts in EVERYTHING:
        if facts.place is RecordedPlace.ELSEWHERE and facts.number is not Number.SAME:
            assert judge_identity(facts) is Verdict.COPIED


def test_another_number_where_numbers_are_kept_never_goes_on() -> None:
    for facts in EVERYTHING:
        if facts.number is Number.OTHER:
            assert judge_identity(facts) is not Verdict.GO_ON
