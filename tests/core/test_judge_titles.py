"""Facts about class titles, from views that a test writes."""

import unicodedata
from typing import Any

import pytest

from astica_sync.core.service_facts.probe_log import Exchange, ProbeStep
from tests.harness.probe_logs import dataset, fact, lost, refused, sample, sent, uid, value, view

FIRST = "Caf\u00e9 & co"


def settled(**classes: list[dict[str, Any]]) -> Exchange:
    return view(ProbeStep.SETTLED, dataset(classes))


def first_view(title: str) -> Exchange:
    return view(ProbeStep.FIRST_VIEW, dataset({title: [{"id": 1, "uid": uid("first")}]}))


@pytest.mark.parametrize(
    ("name", "upload"),
    [("titles_case", "other case"), ("titles_spaces", "outer spaces"), ("titles_forms", "other form")],
)
def test_whether_two_titles_are_one_class(name: str, upload: str) -> None:
    one = settled(A=[sample("first"), sample(upload, 2)])
    two = settled(A=[sample("first")], B=[sample(upload, 2)])
    assert value(name, sent(upload), one) == "same class"
    assert value(name, sent(upload), two) == "other class"
    assert value(name, sent(upload), settled(A=[sample("first")])) is None
    assert value(name, sent(upload), settled(B=[sample(upload)])) is None
    assert fact(name, refused(upload, "bad title"), one).note == "bad title"
    assert value(name, lost(upload), one) is None


@pytest.mark.parametrize(
    ("first", "again", "found"),
    [
        ("NFC", "NFD", "as sent"),
        ("NFC", "NFC", "nfc"),
        ("NFD", "NFD", "nfd"),
        ("NFD", "NFC", "other"),
    ],
)
def test_the_form_in_which_titles_are_stored(first: str, again: str, found: str) -> None:
    shown = unicodedata.normalize(first, FIRST), unicodedata.normalize(again, "Encore d\u00e9j\u00e0")
    later = view(ProbeStep.SETTLED, dataset({shown[1]: [sample("again"), sample("again", 2)]}))
    assert value("titles_stored", first_view(shown[0]), later) == found
    assert value("titles_stored", first_view(shown[0]), settled()) is None
    assert value("titles_stored", later) is None


def test_titles_whose_accents_are_lost() -> None:
    assert value("titles_stored", first_view("Cafe"), settled(Encore=[sample("again")])) == "other"


@pytest.mark.parametrize(
    ("title", "found"), [(FIRST, "as sent"), ("Caf\u00e9 &amp; co", "entities"), ("Caf\u00e9 co", "other")]
)
def test_markup_in_a_title(title: str, found: str) -> None:
    assert value("titles_markup", first_view(title)) == found
