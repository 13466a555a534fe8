"""How soon something is shown, as an interval that holds the service's own time."""

from dataclasses import replace
from typing import Any

import pytest

from astica_sync.core.service_facts.judge_times import seconds_until_listed
from astica_sync.core.service_facts.probe_log import CREATE, Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import title_of
from tests.harness.probe_logs import OK, TOKEN, dataset, fact, lost, sample, sent, view

MISSING, LISTED = dataset({}), dataset({"Can": [sample("first")]})
COUNTED = dataset({}, numSample=1)
UNCOUNTED = dataset({"Can": [sample("first")]}, numSample=None)
ANOTHER_VIEW: dict[str, Any] = {"status": "OK", "dataset_list": []}


def views(*bodies: dict[str, Any]) -> list[Exchange]:
    """The first upload, which took from 0 to 0.1 s, and a view in each second after it, which took a tenth."""
    return [sent("first"), *(view(ProbeStep.FIRST_VIEW, body, float(at)) for at, body in enumerate(bodies, 1))]


@pytest.mark.parametrize(
    ("exchanges", "least", "most", "listed"),
    [
        (views(LISTED), 0.0, 1.1, 0.0),
        (views(UNCOUNTED), 0.0, 1.1, 0.0),
        (views(MISSING, LISTED), 0.9, 2.1, 2.52),
        (views(ANOTHER_VIEW, MISSING, MISSING, LISTED), 2.9, 4.1, 4.92),
        (views(COUNTED, LISTED), 0.0, 1.1, 2.52),
    ],
)
def test_the_lag_of_a_view(exchanges: list[Exchange], least: float, most: float, listed: float) -> None:
    found = fact("view_lag", *exchanges)
    assert (found.least, found.value) == (pytest.approx(least, abs=0.002), pytest.approx(most, abs=0.002))
    assert seconds_until_listed(ProbeLog(exchanges)) == pytest.approx(listed, abs=0.003)


def test_an_upload_that_was_never_shown() -> None:
    found = fact("view_lag", *views(MISSING, MISSING))
    assert (found.value, found.least, found.note) == (None, pytest.approx(1.9, abs=0.002), "not shown within 2 s")
    assert seconds_until_listed(ProbeLog(views(MISSING))) == 0.0
    assert fact("view_lag", sent("first")).note == "no answer came"
    assert fact("view_lag", lost("first"), *views(MISSING)[1:]).note == "the request before it was not served"
    assert fact("list_lag", replace(CREATED, taken_as="OutcomeUnknown"), listing(2.5)).value is None


@pytest.mark.parametrize(
    ("exchanges", "least", "most"),
    [
        (views(LISTED), 0.0, 1.1),
        (views(MISSING, LISTED), 0.0, 1.2),
        (views(COUNTED, LISTED), 0.001, 2.1),
        (views(MISSING, COUNTED, MISSING, LISTED), 0.8, 3.2),
    ],
)
def test_lists_behind_their_counts(exchanges: list[Exchange], least: float, most: float) -> None:
    found = fact("sample_list_lag", *exchanges)
    assert (found.least, found.value) == (pytest.approx(least, abs=0.002), pytest.approx(most, abs=0.002))


def test_lists_that_never_come() -> None:
    assert fact("sample_list_lag", *views(COUNTED)).value is None


CREATED = Exchange(ProbeStep.CREATE, CREATE, 0.0, 0.5, 200, {}, OK)


def listing(at: float, *titles: str) -> Exchange:
    body = {"status": "OK", "dataset_list": [{"title": title} for title in titles]}
    return Exchange(ProbeStep.CREATE, "/model/list", at, at + 0.1, 200, {}, body)


def test_the_lag_of_a_list_of_models() -> None:
    before = replace(listing(0.0), started=-1.0)
    at_once = fact("list_lag", before, CREATED, listing(0.5, title_of(TOKEN)))
    later = fact("list_lag", before, CREATED, listing(0.5, "another"), listing(2.5, title_of(TOKEN)))
    assert (at_once.least, at_once.value) == (0.0, pytest.approx(0.6))
    assert (later.least, later.value) == (0.001, pytest.approx(2.6))


TRAIN = Exchange(ProbeStep.TRAIN, "/model/model_train", 0.0, 0.1, 200, {}, OK)


def test_the_time_of_a_training() -> None:
    asked = [
        TRAIN,
        view(ProbeStep.TRAINED, dataset({}), 1.0),
        view(ProbeStep.TRAINED, dataset({}, model_version="1001_1"), 3.0),
    ]
    found = fact("training_time", *asked)
    assert (found.least, found.value) == (pytest.approx(0.9), pytest.approx(3.1))
    assert fact("training_time", lost(ProbeStep.TRAIN)).note == "no training began"
