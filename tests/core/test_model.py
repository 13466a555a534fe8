"""The nouns: what a uid says, and what the nouns say of themselves."""

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
    content_of,
    fold_title,
    is_uid,
    make_scope,
    make_uid,
)

CONTENT = "0f343b0931126a20f133d67c2b018a3b"
CONTENTS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(CONTENTS, st.integers(1, 2**63), st.text(max_size=20))
def test_a_uid_says_which_bytes_it_means_and_depends_on_model_and_class(
    content: str, model_id: int, title: str
) -> None:
    uid = make_uid(content, make_scope(model_id, title))
    assert len(uid) == UID_LENGTH
    assert is_uid(uid)
    assert content_of(uid) == content
    others = {make_scope(model_id + 1, title), make_scope(model_id, title + "x"), make_scope(model_id, title, "grey")}
    assert uid[33:] not in others


@pytest.mark.parametrize("text", ["", CONTENT, CONTENT + "-1234567", CONTENT.upper() + "-12345678", "uniqueString_123"])
def test_what_is_no_uid_of_ours_is_not_taken_for_one(text: str) -> None:
    assert not is_uid(text)
    with pytest.raises(ValueError, match="not a uid"):
        content_of(text)


@given(st.integers(32, UID_LENGTH))
def test_a_uid_that_was_cut_behind_its_content_is_made_whole_by_its_class(length: int) -> None:
    uid = make_uid(CONTENT, make_scope(5, "Can"))
    assert complete_uid(uid[:length], 5, "Can") == uid


def test_a_uid_that_was_cut_in_its_scope_is_not_made_whole_by_another_class() -> None:
    cut = make_uid(CONTENT, make_scope(5, "Can"))[:37]
    assert complete_uid(cut, 5, "Bottle") == cut
    assert complete_uid(CONTENT[:31], 5, "Can") == CONTENT[:31]


@given(st.text())
def test_folding_a_title_twice_changes_nothing_more(title: str) -> None:
    assert fold_title(fold_title(title)) == fold_title(title)


def test_both_sides_of_a_sample_know_its_content() -> None:
    uid = make_uid(CONTENT, make_scope(5, "Can"))
    assert LocalSample(uid, "Can", ("Can/a.png",), 7).content == CONTENT
    assert Mark(uid, "Can", MarkState.AGREED, None, "run", "Can/a.png").content == CONTENT


def test_what_a_scan_could_not_see_is_hidden_class_by_class_or_as_a_whole() -> None:
    assert not ALL_READABLE
    assert Unreadable(classes=frozenset({"Can"})).hides("Can")
    assert not Unreadable(classes=frozenset({"Can"})).hides("Bottle")
    assert Unreadable(everything=True).hides("Bottle")
    assert Unreadable(everything=True)


def test_an_observation_is_gone_through_sample_by_sample() -> None:
    samples = (RemoteSample("a", 1, 1, "Can"), RemoteSample("b", 2, 1, "Can"))
    assert tuple(Observation(ModelInfo(5, "m"), 0.0, (), samples)) == samples
