"""Cut uids in classes whose titles the service spells differently are completed with the titles of the store."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import complete_uid, make_scope, make_uid
from astica_sync.core.observation.cut_uids import UidRepair

CONTENT = "0f343b0931126a20f133d67c2b018a3b"
OTHER = "ffff3b0931126a20f133d67c2b018a3b"


def uid_of(title: str, content: str = CONTENT, recipe: str = "") -> str:
    return make_uid(content, make_scope(5, title, recipe))


def repair_for(
    titles: Iterable[str] = (), present: Iterable[str] = (), marked: Iterable[str] = (), shown: Iterable[str] = ()
) -> UidRepair:
    """A repair for a store with these titles, with the image present in some classes and marked in some."""
    here, noted = {uid_of(title) for title in present}, {uid_of(title) for title in marked}
    repair = UidRepair(lambda: titles, lambda uid, _: uid in here, lambda uid, _: uid in noted)
    repair.begin(shown)
    return repair


@given(st.integers(32, 40), st.sampled_from(["can", "CAN ", " Can", "CAN"]))
def test_a_cut_uid_in_a_class_of_another_spelling_is_completed_for_the_stores_class(length: int, shown: str) -> None:
    repair = repair_for(["Can", "Bottle"], shown=[shown])
    assert repair.complete(uid_of("Can")[:length], 5, shown) == uid_of("Can")


@given(st.integers(32, 40), st.text(max_size=5))
def test_without_titles_of_the_store_the_title_in_the_view_is_used(length: int, title: str) -> None:
    cut = uid_of(title)[:length]
    assert repair_for().complete(cut, 5, title) == uid_of(title) == complete_uid(cut, 5, title)


def test_a_title_in_the_view_is_not_another_spelling_of_a_different_class() -> None:
    repair = repair_for(["Can", "can"], present=["Can"], shown=["Can", "can"])
    assert repair.complete(CONTENT, 5, "can") == uid_of("can")
    assert repair.complete(CONTENT, 5, "Can") == uid_of("Can")


def test_samples_of_two_classes_in_one_are_assigned_once_with_present_ones_first() -> None:
    repair = repair_for(["CAN", "Can", "can"], present=["can"], marked=["CAN", "can"], shown=["Can"])
    assert [repair.complete(CONTENT, 5, "Can") for _ in range(3)] == [uid_of("can"), uid_of("CAN"), uid_of("CAN")]
    again = repair_for(["CAN", "Can", "can"], present=["can"], marked=["can"], shown=["Can"])
    assert [again.complete(CONTENT, 5, "Can") for _ in range(2)] == [uid_of("can"), uid_of("can")]
    assert again.complete(OTHER, 5, "Can") == uid_of("Can", OTHER)


def test_the_rest_of_a_cut_scope_distinguishes_two_classes() -> None:
    repair = repair_for(["Can", "can"], present=["Can", "can"], shown=["CAN"])
    assert make_scope(5, "Can")[0] != make_scope(5, "can")[0]
    assert repair.complete(uid_of("can")[:34], 5, "CAN") == uid_of("can")
    assert repair.complete(uid_of("Can")[:34], 5, "CAN") == uid_of("Can")


@pytest.mark.parametrize("text", ["", CONTENT[:31], CONTENT + "-", uid_of("Bottle")[:38], "made elsewhere"])
def test_a_uid_that_is_not_ours_is_not_changed(text: str) -> None:
    repair = repair_for(["Can", "can"], present=["Can"], shown=["Can"])
    expected = uid_of("Can") if text == CONTENT + "-" else text
    assert repair.complete(text, 5, "Can") == expected


def test_the_titles_of_the_store_are_read_once_and_only_for_a_cut_uid() -> None:
    asked = []
    repair = UidRepair(lambda: asked.append(1) or ["Can"])
    repair.begin(["can"])
    assert asked == []
    repair.complete(CONTENT, 5, "can")
    repair.complete(OTHER, 5, "can")
    repair.complete(OTHER, 5, "Bottle")
    assert asked == [1]


@given(st.integers(36, 40), st.sampled_from(["", "max_side=64", "quality=5"]))
def test_the_rest_of_a_cut_scope_distinguishes_two_recipes(length: int, recipe: str) -> None:
    """Of three recipes; where less is left of it, two may be one by chance."""
    recipes = ("", "max_side=64", "quality=5")
    assert len({uid_of("Can", recipe=one)[:36] for one in recipes}) == 3
    repair = UidRepair(lambda: ["Can"], recipes=lambda: recipes)
    repair.begin(["can"])
    whole = uid_of("Can", recipe=recipe)
    assert repair.complete(whole[:length], 5, "can") == whole


def test_where_nothing_is_left_of_it_a_sample_is_that_of_the_store_or_of_a_mark() -> None:
    default, other = uid_of("Can"), uid_of("Can", recipe="max_side=64")
    for here, noted, expected in (
        ([], [], default), ([other], [], other), ([], [other], other), ([default], [other], default),
    ):  # fmt: skip
        repair = UidRepair(
            lambda: ["Can"],
            lambda uid, _, here=here: uid in here,
            lambda uid, _, noted=noted: uid in noted,
            lambda: ("", "max_side=64"),
        )
        repair.begin(["Can"])
        assert repair.complete(CONTENT, 5, "Can") == expected and not repair.classes_known
