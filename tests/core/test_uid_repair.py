"""Cut uids under titles that the service spells in its own way: the store's titles say which sample is meant."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import complete_uid, make_scope, make_uid
from astica_sync.core.view.uid_repair import UidRepair

CONTENT = "0f343b0931126a20f133d67c2b018a3b"
OTHER = "ffff3b0931126a20f133d67c2b018a3b"


def uid_of(title: str, content: str = CONTENT) -> str:
    return make_uid(content, make_scope(5, title))


def spelling(
    titles: Iterable[str] = (), present: Iterable[str] = (), marked: Iterable[str] = (), shown: Iterable[str] = ()
) -> UidRepair:
    """Of a store with these titles, where the image is present in some classes and marked in some."""
    here, noted = {uid_of(title) for title in present}, {uid_of(title) for title in marked}
    made = UidRepair(lambda: titles, lambda uid, _: uid in here, lambda uid, _: uid in noted)
    made.begin(shown)
    return made


@given(st.integers(32, 40), st.sampled_from(["can", "CAN ", " Can", "CAN"]))
def test_a_cut_uid_under_a_title_of_another_spelling_is_that_of_the_stores_class(length: int, shown: str) -> None:
    made = spelling(["Can", "Bottle"], shown=[shown])
    assert made.complete(uid_of("Can")[:length], 5, shown) == uid_of("Can")


@given(st.integers(32, 40), st.text(max_size=5))
def test_a_store_that_knows_nothing_takes_the_title_that_is_shown(length: int, title: str) -> None:
    cut = uid_of(title)[:length]
    assert spelling().complete(cut, 5, title) == uid_of(title) == complete_uid(cut, 5, title)


def test_a_class_that_is_shown_itself_is_not_meant_by_another_spelling_of_it() -> None:
    made = spelling(["Can", "can"], present=["Can"], shown=["Can", "can"])
    assert made.complete(CONTENT, 5, "can") == uid_of("can")
    assert made.complete(CONTENT, 5, "Can") == uid_of("Can")


def test_two_classes_in_one_hand_out_each_sample_once_the_present_ones_first() -> None:
    made = spelling(["CAN", "Can", "can"], present=["can"], marked=["CAN", "can"], shown=["Can"])
    assert [made.complete(CONTENT, 5, "Can") for _ in range(3)] == [uid_of("can"), uid_of("CAN"), uid_of("CAN")]
    again = spelling(["CAN", "Can", "can"], present=["can"], marked=["can"], shown=["Can"])
    assert [again.complete(CONTENT, 5, "Can") for _ in range(2)] == [uid_of("can"), uid_of("can")]
    assert again.complete(OTHER, 5, "Can") == uid_of("Can", OTHER)


def test_what_is_left_of_the_scope_tells_two_classes_apart() -> None:
    made = spelling(["Can", "can"], present=["Can", "can"], shown=["CAN"])
    assert make_scope(5, "Can")[0] != make_scope(5, "can")[0]
    assert made.complete(uid_of("can")[:34], 5, "CAN") == uid_of("can")
    assert made.complete(uid_of("Can")[:34], 5, "CAN") == uid_of("Can")


@pytest.mark.parametrize("text", ["", CONTENT[:31], CONTENT + "-", uid_of("Bottle")[:38], "made elsewhere"])
def test_what_is_not_ours_stays_as_it_is(text: str) -> None:
    made = spelling(["Can", "can"], present=["Can"], shown=["Can"])
    expected = uid_of("Can") if text == CONTENT + "-" else text
    assert made.complete(text, 5, "Can") == expected


def test_the_titles_of_the_store_are_asked_for_once_and_only_when_a_uid_was_cut() -> None:
    asked = []
    made = UidRepair(lambda: asked.append(1) or ["Can"])
    made.begin(["can"])
    assert asked == []
    made.complete(CONTENT, 5, "can")
    made.complete(OTHER, 5, "can")
    made.complete(OTHER, 5, "Bottle")
    assert asked == [1]
