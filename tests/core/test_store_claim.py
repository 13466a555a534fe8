"""What is read of the record of another store, and which stores contradict each other."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.fleet.announcement import MOST_CHARACTERS, MOST_NAME
from astica_sync.core.fleet.fleet import fleet_of
from astica_sync.core.fleet.store_claim import (
    MOST_TITLES,
    Contradiction,
    StoreClaim,
    claim_data,
    claim_of,
    claims_of_model,
    contradictions_of,
    titles_to_write,
)
from astica_sync.remote.fleet.fleet_board import BoardRecord, claims_on, fleet_on, store_text_of

CANS = StoreClaim("a1", "lab-desk", "Cans", 7, ("Can", "Bottle"), 0, 60.0, 5.0, 1.0)
BOXES = replace(CANS, store_id="b2", machine="line-1", store="Boxes", titles=("Box",))
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.lists(st.text(), max_size=2)
)


def test_what_is_written_is_read_back() -> None:
    assert claim_of(json.loads(store_text_of(CANS)), 1.0) == CANS
    never = replace(CANS, titles=(), agreed=None)
    assert claim_of(claim_data(never), 1.0) == never
    assert never.owns_all and never.agreed_ago is None
    assert (CANS.since_now, CANS.agreed_ago, CANS.owns_all) == (61.0, 6.0, False)


@pytest.mark.parametrize(
    "changes",
    [{"kind": "process"}, {"id": ""}, {"host": None}, {"model": 0}, {"titles": ["Can", 3]}, {"titles": [" "]}],
)
def test_a_record_that_says_too_little_is_none(changes: dict[str, Any]) -> None:
    assert claim_of({**claim_data(CANS), **changes}, 1.0) is None
    assert claim_of(claim_data(CANS), "a while") is None
    assert claim_of([], 1.0) is None


def test_more_titles_than_there_are_read_make_no_store_of_all_classes() -> None:
    assert claim_of({**claim_data(CANS), "titles": ["a"] * (MOST_TITLES + 1)}, 1.0) is None
    found = claim_of({**claim_data(CANS), "titles": "Can", "more": -1, "since": "x", "agreed": True}, 1.0)
    assert found is not None and (found.titles, found.more, found.since, found.agreed) == ((), 0, 0.0, None)


@given(st.dictionaries(st.sampled_from(list(claim_data(CANS))), VALUES), VALUES)
def test_whatever_is_written_is_a_record_or_none(changes: dict[str, Any], seen: Any) -> None:
    found = claim_of({**claim_data(CANS), **changes}, seen)
    if found is not None:
        assert found.machine and len(found.machine) <= MOST_NAME and found.model > 0 and found.seen >= 0
    # On the board nothing of it does any harm.
    fleet_on([BoardRecord(json.dumps({**claim_data(CANS), **changes}, default=str), seen)])


@given(st.lists(st.text(max_size=60), max_size=300))
def test_a_record_has_room_for_what_is_written(titles: list[str]) -> None:
    kept, more = titles_to_write(titles)
    assert len(kept) + more == len(titles)
    assert len(store_text_of(replace(CANS, titles=kept, more=more, store="é" * 99, machine="é" * 99))) <= (
        MOST_CHARACTERS
    )


def test_titles_that_have_no_room_are_counted() -> None:
    assert titles_to_write(["é" * 99] * 5) == (("é" * MOST_NAME,) * 3, 2)
    assert titles_to_write(["Can"] * 3) == (("Can",) * 3, 0)


def test_two_stores_that_claim_one_class_contradict_each_other() -> None:
    everything = replace(CANS, store_id="c3", store="All", titles=())
    assert not contradictions_of([CANS, BOXES])
    assert contradictions_of([CANS, replace(BOXES, titles=("can ", "Box"))]) == [
        Contradiction(CANS, replace(BOXES, titles=("can ", "Box")), ("Can",))
    ]
    assert [one.titles for one in contradictions_of([everything, BOXES, CANS])] == [("Can", "Bottle"), ("Box",)]
    other = replace(everything, store_id="d4")
    assert [one.titles for one in contradictions_of([everything, other])] == [()]
    # Another model, and the same store in another process.
    assert not contradictions_of([CANS, replace(CANS, store_id="e5", model=8), replace(CANS, machine="line-9")])


def test_the_stores_of_a_model_without_ones_own() -> None:
    other = replace(BOXES, model=8)
    assert claims_of_model([CANS, BOXES, other], 7, "a1") == [BOXES]
    assert claims_of_model([CANS, BOXES, other], 7) == [CANS, BOXES]
    assert fleet_of([], [other, BOXES, CANS]).stores == (CANS, BOXES, other)
    assert claims_on([BoardRecord(store_text_of(CANS), "1.0"), BoardRecord(store_text_of(CANS), "x")]) == (CANS,)


def test_what_a_store_manages_goes_on_as_long_as_its_classes_are_the_same() -> None:
    assert CANS.continues(replace(CANS, machine="moved", since=0.0, agreed=None))
    assert not CANS.continues(replace(CANS, titles=("Can",)))
    assert not CANS.continues(BOXES)
