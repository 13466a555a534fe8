"""What is read of the record of another store, and which stores contradict each other."""

import json
import unicodedata
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


@given(st.lists(st.text(min_size=1, max_size=60).filter(str.strip), min_size=1, max_size=20))
def test_titles_are_read_as_they_were_written(titles: list[str]) -> None:
    kept, more = titles_to_write(titles)
    own = replace(CANS, titles=kept, more=more)
    found = claim_of(json.loads(store_text_of(own)), 1.0)
    assert found is not None and found.titles == kept and own.continues(found)


@pytest.mark.parametrize("title", ["Cafe\u0301", " Can ", "Can\u200b", "e\u0301\u0302\u0303\u0304", "\u0958" * 40])
def test_a_store_of_any_title_goes_on_where_it_was(title: str) -> None:
    kept, _ = titles_to_write([title])
    found = claim_of(claim_data(replace(CANS, titles=kept)), 1.0)
    assert found is not None and replace(CANS, titles=kept).continues(found)
    # Written in another Unicode form or case it is the same class.
    other, _ = titles_to_write([unicodedata.normalize("NFD", title).upper()])
    assert list(contradictions_of([replace(CANS, titles=kept), replace(BOXES, titles=other)]))


def test_titles_that_have_no_room_are_counted() -> None:
    kept, more = titles_to_write(["é" * 99] * 5)
    assert (len(kept), more) == (3, 2) and {len(title) for title in kept} == {MOST_NAME}
    assert titles_to_write(["Can"] * 3) == (("Can",) * 3, 0)


@pytest.mark.parametrize(("one", "other"), [("Can " * 20 + "left", "Can " * 20 + "right"), ("Can\u200b", "Can\u200d")])
def test_titles_that_begin_or_look_the_same_are_two_classes(one: str, other: str) -> None:
    claims = [read_back(replace(CANS, titles=titles_to_write([one])[0]))]
    claims += [read_back(replace(BOXES, titles=titles_to_write([other])[0]))]
    assert not list(contradictions_of(claims))
    again = read_back(replace(BOXES, titles=titles_to_write([f" {one} "])[0]))
    assert [found.titles for found in contradictions_of([claims[0], again])] == [claims[0].titles]


def read_back(claim: StoreClaim) -> StoreClaim:
    found = claim_of(json.loads(store_text_of(claim)), 1.0)
    assert found is not None
    return found


def test_two_stores_that_claim_one_class_contradict_each_other() -> None:
    everything = replace(CANS, store_id="c3", store="All", titles=())
    assert not list(contradictions_of([CANS, BOXES]))
    assert list(contradictions_of([CANS, replace(BOXES, titles=("can ", "Box"))])) == [
        Contradiction(CANS, replace(BOXES, titles=("can ", "Box")), ("Can",))
    ]
    assert [one.titles for one in contradictions_of([everything, BOXES, CANS])] == [("Can", "Bottle"), ("Box",)]
    other = replace(everything, store_id="d4")
    assert [one.titles for one in contradictions_of([everything, other])] == [()]
    # Another model, and the same store in another process.
    others = [replace(CANS, store_id="e5", model=8), replace(CANS, machine="line-9")]
    assert not list(contradictions_of([CANS, *others]))


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
