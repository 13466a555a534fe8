"""Answers of the service as they came, also those of an odd form."""

import pytest

from astica_sync.core.service_facts.read_answer import ShownSample, read_list, read_view, whole


@pytest.mark.parametrize("body", [None, [], "dataset", {}, {"dataset": None}, {"dataset": []}])
def test_what_is_no_view(body: object) -> None:
    assert read_view(body) is None


@pytest.mark.parametrize("body", [None, {}, {"dataset_list": None}, {"dataset_list": {}}])
def test_what_is_no_list(body: object) -> None:
    assert read_list(body) is None


def test_a_list_is_read_without_what_is_no_model() -> None:
    assert read_list({"dataset_list": [{"id": 1}, 7]}) == [{"id": 1}]


def test_a_view_is_read_in_every_form_of_its_numbers() -> None:
    samples = [
        {"id": "7", "uid": "abc", "size": "0.25"},
        {"id": 8, "uid": None, "size": 1},
        {"id": True, "uid": 5, "size": "large"},
        "no sample",
    ]
    view = read_view(
        {"dataset": {"numSample": "3", "class_list": [{"id": "5", "title": "Can", "samples": samples}, {}]}}
    )
    assert view is not None
    assert view.classes == ((5, "Can"), (0, ""))
    assert view.samples == (
        ShownSample(5, "Can", 7, "abc", 0.25),
        ShownSample(5, "Can", 8, "", 1.0),
        ShownSample(5, "Can", 0, "5", None),
    )
    assert view.is_settled and view.counted == 3
    assert [one.sample_id for one in view.find("abcdef")] == [7]


def test_a_view_whose_lists_are_behind_is_not_settled() -> None:
    behind, uncounted = read_view({"dataset": {"numSample": 1}}), read_view({"dataset": {"class_list": None}})
    assert behind is not None and not behind.is_settled
    assert uncounted is not None and uncounted.is_settled


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (" 3 ", 3), ("-3", None), (True, None), (2.0, None), (None, None)]
)
def test_whole_numbers(value: object, number: int | None) -> None:
    assert whole(value) == number
