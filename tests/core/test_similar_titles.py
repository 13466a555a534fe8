"""Class titles that differ from another by one typing error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.plan.similar_titles import (
    NearTitle,
    find_near_titles,
    find_same_titles,
    is_near,
    titles_to_confirm,
)


@pytest.mark.parametrize(
    ("title", "other"),
    [
        ("bottle", "Bottle"),
        ("Bottle ", "Bottle"),
        ("Bottel", "Bottle"),
        ("Botle", "Bottle"),
        ("Bottles", "Bottle"),
        ("Bottlr", "Bottle"),
        ("can", "Can"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("\uff23an", "Can"),
        ("\u0421\u0430n", "Can"),
        ("\u0432ottle", "Bottle"),
        ("P\u03bf\u03c4", "Pot"),
        ("Can\u200b", "Can"),
        ("\u200eCan\ufeff", "Can"),
    ],
)
def test_a_typing_error_is_near(title, other):
    assert is_near(title, other)
    assert is_near(other, title)


@pytest.mark.parametrize(
    ("title", "other"),
    [
        ("cat", "car"),
        ("class 1", "class 2"),
        ("class1", "class10"),
        ("Bottle", "Battles"),
        ("Can", "Bottle"),
        ("\u043a\u043e\u0442", "cat"),
    ],
)
def test_titles_that_differ_on_purpose_are_not_near(title, other):
    assert not is_near(title, other)
    assert not is_near(other, title)


def test_only_new_titles_are_compared_and_only_with_existing_ones():
    found = find_near_titles(["Bottel", "Bottle", "Glass"], ["Bottle", "Can"])
    assert found == [NearTitle("Bottel", "Bottle")]


def test_new_titles_are_not_compared_with_each_other():
    assert find_near_titles(["Bottel", "Bottle"], []) == []


def test_new_titles_that_differ_in_case_are_found_and_the_first_is_the_one_that_may_be_meant():
    found = find_same_titles(["gabel", "Gabel", "GABEL", "Gable", "Can"], [])
    assert found == [NearTitle("Gabel", "GABEL", both_new=True), NearTitle("gabel", "GABEL", both_new=True)]
    assert find_same_titles(["Gabel"], ["gabel"]) == [NearTitle("Gabel", "gabel", both_new=True)]
    assert find_same_titles(["Gabel", "Bottel", "Bottle"], ["Bottles"]) == []


@given(st.text(min_size=4), st.data())
def test_a_missing_letter_is_always_near(title, data):
    place = data.draw(st.integers(0, len(title) - 1))
    shorter = title[:place] + title[place + 1 :]
    if len(shorter) >= 4 and title.isascii() and title.isalpha():
        assert is_near(title, shorter)


def test_which_new_classes_have_to_be_confirmed() -> None:
    def titles(*accepted: str, existing: tuple[str, ...] = ("Bottle",), sent: tuple[str, ...] = ()) -> list[str]:
        classes = {"Bottle", "Bottel", "Gabel", "gabel"}
        return [entry.title for entry in titles_to_confirm(classes, existing, sent, accepted)]

    assert titles() == ["Bottel", "gabel"]
    assert titles("Bottel") == ["gabel"]
    assert titles("Gabel") == ["Bottel"], "who accepts one of two spellings knows of the other"
    assert titles(sent=("gabel",)) == ["Bottel", "Gabel"], "sent, and not shown yet"
    assert titles(sent=("Gabel", "gabel", "Bottel")) == []
    assert titles("Bottle", existing=("Bottle", "Gabel", "gabel")) == ["Bottel"], "another letter is another title"
