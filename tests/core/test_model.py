"""The data model: uids, class titles, and small methods of the data classes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import (
    ALL_READABLE,
    UID_LENGTH,
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    RemoteSample,
    Unreadable,
    complete_uid,
    content_in_class,
    content_of,
    find_equal_scopes,
    fold_title,
    is_uid,
    make_scope,
    make_uid,
    recipe_in,
)
from astica_sync.core.recipe import Recipe

CONTENT = "0f343b0931126a20f133d67c2b018a3b"
CONTENTS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(CONTENTS, st.integers(1, 2**63), st.text(max_size=20))
def test_a_uid_contains_the_content_hash_and_depends_on_model_and_class(
    content: str, model_id: int, title: str
) -> None:
    uid = make_uid(content, make_scope(model_id, title))
    assert len(uid) == UID_LENGTH
    assert is_uid(uid)
    assert content_of(uid) == content
    others = {make_scope(model_id + 1, title), make_scope(model_id, title + "x"), make_scope(model_id, title, "grey")}
    assert uid[33:] not in others


@pytest.mark.parametrize("text", ["", CONTENT, CONTENT + "-1234567", CONTENT.upper() + "-12345678", "uniqueString_123"])
def test_other_texts_are_not_uids(text: str) -> None:
    assert not is_uid(text)
    with pytest.raises(ValueError, match="not a uid"):
        content_of(text)


@given(st.integers(32, UID_LENGTH))
def test_a_uid_truncated_after_the_content_hash_is_completed_from_its_class(length: int) -> None:
    uid = make_uid(CONTENT, make_scope(5, "Can"))
    assert complete_uid(uid[:length], 5, "Can") == uid


def test_a_uid_truncated_in_its_scope_is_not_completed_for_another_class() -> None:
    cut = make_uid(CONTENT, make_scope(5, "Can"))[:37]
    assert complete_uid(cut, 5, "Bottle") == cut
    assert complete_uid(CONTENT[:31], 5, "Can") == CONTENT[:31]


@given(st.text())
def test_folding_a_title_is_idempotent(title: str) -> None:
    assert fold_title(fold_title(title)) == fold_title(title)


def test_local_samples_and_marks_have_the_content_hash_of_their_uid() -> None:
    uid = make_uid(CONTENT, make_scope(5, "Can"))
    assert LocalSample(uid, "Can", ("Can/a.png",), 7).content == CONTENT
    assert Mark(uid, "Can", MarkState.AGREED, None, "run", "Can/a.png").content == CONTENT


def test_unreadable_covers_single_classes_or_the_whole_store() -> None:
    assert not ALL_READABLE
    assert Unreadable(classes=frozenset({"Can"})).covers("Can")
    assert not Unreadable(classes=frozenset({"Can"})).covers("Bottle")
    assert Unreadable(everything=True).covers("Bottle")
    assert Unreadable(everything=True)


def test_iterating_an_observation_yields_its_samples() -> None:
    samples = (RemoteSample("a", 1, 1, "Can"), RemoteSample("b", 2, 1, "Can"))
    assert tuple(Observation(ModelInfo(5, "m"), 0.0, (), samples)) == samples


def test_titles_of_one_scope_are_found() -> None:
    seen: dict[str, str] = {}
    number = 0
    while (other := seen.setdefault(make_scope(1, f"Class {number}"), f"Class {number}")) == f"Class {number}":
        number += 1
    assert find_equal_scopes(1, [f"Class {number}", "Can", other]) == tuple(sorted((other, f"Class {number}")))
    assert find_equal_scopes(1, ["Can", "Bottle"]) is None


def test_a_uid_tells_its_content_in_its_class_alone() -> None:
    uid = make_uid("a" * 32, make_scope(1, "Can"))
    assert content_in_class(uid, 1, "Can") == "a" * 32
    assert content_in_class(uid, 1, "Jar") == content_in_class(uid, 2, "Can") == content_in_class("IMG", 1, "Can") == ""


@given(st.integers(1, 2**63 - 1), st.text(max_size=8))
def test_the_default_recipe_leaves_uids_as_they_were_and_another_one_makes_others(model_id: int, title: str) -> None:
    digest = hashlib.blake2s(f"{model_id}\0{title}\0".encode(), digest_size=4).hexdigest()
    assert make_scope(model_id, title) == make_scope(model_id, title, Recipe().identity) == digest
    recipes = ["", "max_side=64", "max_side=65", "quality=64"]
    scopes = [make_scope(model_id, title, recipe) for recipe in recipes]
    assert len(set(scopes)) == 4
    for recipe, scope in zip(recipes, scopes, strict=True):
        uid = make_uid(CONTENT, scope)
        assert recipe_in(uid, model_id, title, recipes) == recipe
        assert content_in_class(uid, model_id, title, recipes) == CONTENT
        assert complete_uid(uid[:37], model_id, title, recipe) == uid
    assert recipe_in(uid, model_id, title, recipes[:1]) is None and recipe_in("IMG", 1, "Can", recipes) is None
