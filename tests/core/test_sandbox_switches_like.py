"""The switches of a sandbox with the habits of a service."""

import pytest

from astica_sync.core.service_facts.fact import Fact, Value
from astica_sync.core.service_facts.sandbox_switches import switches_like

PLAIN_TITLES: dict[str, Value] = {
    "titles_case": "other class",
    "titles_spaces": "other class",
    "titles_markup": "as sent",
    "titles_stored": "as sent",
}


def switches(**values: Value) -> tuple[dict[str, str], list[str]]:
    return switches_like({name: Fact(value) for name, value in values.items()})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"empty_class": "goes", "confidence": None}, {"empty_class": "goes"}),
        ({"error_status": 200}, {"error_status": "200"}),
        ({"error_status": 500}, {"error_status": "4xx"}),
        ({"error_repeats": True}, {"error_texts": "repeat"}),
        ({"error_repeats": False}, {"error_texts": "short"}),
        ({"uid_length": "all"}, {"uid_length": "none"}),
        ({"uid_length": 36}, {"uid_length": "36"}),
        ({"urls": "fetched"}, {"urls": "fetched"}),
        ({"side_16000": "accepted", "side_16001": "refused"}, {"largest_side": "16000"}),
        ({"side_16000": "accepted", "side_16001": "accepted"}, {"largest_side": "20000"}),
        ({"side_16000": "refused", "side_16001": "refused"}, {"largest_side": "15999"}),
        ({"side_16000": "accepted"}, {}),
        ({"largest_image": 20_971_520}, {"largest_image": "20971520"}),
        ({"largest_image": 0}, {}),
        ({"orientation_trained": "turned", "orientation_detected": "turned"}, {"orientation": "turned"}),
        ({"titles_case": "same class", "titles_spaces": "same class"}, {"titles": "fold"}),
        ({"titles_case": "other class", "titles_markup": "as sent", "titles_stored": "as sent"}, {}),
        (PLAIN_TITLES, {"titles": "exact"}),
        ({"titles_case": "same class", "titles_spaces": None}, {"titles": "fold"}),
        ({"titles_stored": "nfd", "titles_markup": None}, {"titles": "nfd"}),
        ({"titles_markup": "entities"}, {"titles": "html"}),
        ({"sizes": "as sent", "tagged_jpeg": "kept", "smallest": "accepted"}, {}),
    ],
)
def test_what_a_sandbox_can_copy(values: dict[str, Value], expected: dict[str, str]) -> None:
    assert switches(**values) == (expected, [])


@pytest.mark.parametrize(
    ("values", "expected", "left_out"),
    [
        ({"repeated_uids": "ignore"}, {}, ["repeated_uids"]),
        ({"uid_length": 0}, {}, ["uid_length"]),
        (
            {"sizes": "changed", "tagged_jpeg": "changed", "smallest": "refused"},
            {},
            ["sizes", "tagged_jpeg", "smallest"],
        ),
        ({"orientation_trained": "turned", "orientation_detected": "ignored"}, {}, ["orientation_detected"]),
        ({"titles_case": "same class", "titles_spaces": "other class"}, {"titles": "fold"}, ["titles_spaces"]),
        ({"titles_markup": "entities", "titles_stored": "nfc"}, {"titles": "html"}, ["titles_stored"]),
        ({"titles_stored": "other", "titles_case": "other class"}, {}, ["titles_stored"]),
        ({**PLAIN_TITLES, "titles_stored": "other"}, {"titles": "exact"}, ["titles_stored"]),
        ({**PLAIN_TITLES, "titles_forms": "same class"}, {"titles": "exact"}, ["titles_forms"]),
    ],
)
def test_what_it_cannot_copy_is_named(values: dict[str, Value], expected: dict[str, str], left_out: list[str]) -> None:
    assert switches(**values) == (expected, left_out)


@pytest.mark.parametrize(
    ("fact", "seconds"),
    [
        (Fact(0.03, "in the first answer", 0.0), "0"),
        (Fact(2.5, "in answer 3", 1.5), "2"),
        (Fact(4.0), "0"),
    ],
)
def test_a_time_is_the_middle_of_its_interval(fact: Fact, seconds: str) -> None:
    assert switches_like({"view_lag": fact}) == ({"view_lag": seconds}, [])
