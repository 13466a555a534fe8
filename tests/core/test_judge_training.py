"""Facts about trainings and detections, from answers that a test writes."""

from typing import Any

import pytest

from astica_sync.core.service_facts.probe_log import DETECT, Exchange, ProbeStep
from tests.harness.probe_logs import OK, dataset, fact, lost, refused, value, view

TRAIN = Exchange(ProbeStep.TRAIN, "/model/model_train", 0.0, 0.1, 200, {}, OK)
NONE_YET = view(ProbeStep.TRAINED, dataset({}, model_version=""), 1.0)


def trained(version: object = "1001_20001") -> list[Exchange]:
    return [TRAIN, NONE_YET, view(ProbeStep.TRAINED, dataset({}, model_version=version), 2.0)]


def detected(step: ProbeStep, output: object = "Standing", confidence: object = 97.5) -> Exchange:
    return Exchange(step, DETECT, status=200, body={"status": "OK", "output": output, "confidence": confidence})


@pytest.mark.parametrize(
    ("exchanges", "found", "note"),
    [
        (trained(), "works", ""),
        ([TRAIN, NONE_YET], "fails", "no version within 1 s"),
        ([TRAIN], "fails", "within 0 s"),
        ([refused(ProbeStep.TRAIN, "not now")], "refused", "not now"),
        ([lost(ProbeStep.TRAIN)], None, "no answer"),
    ],
)
def test_what_becomes_of_a_training(exchanges: list[Exchange], found: str | None, note: str) -> None:
    seen = fact("training", *exchanges)
    assert seen.value == found and note in seen.note


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("1001_20001", "number"),
        ("1002_20001", "other"),
        ("20230710_212503", "date"),
        ("20231310_212503", "other"),
        ("v2", "other"),
        (7, "other"),
    ],
)
def test_the_form_of_a_version(version: object, found: str) -> None:
    assert value("version_form", *trained(version)) == found


def test_without_a_version_its_form_is_unknown() -> None:
    assert fact("version_form", TRAIN, NONE_YET).note == "there is no version to run"
    assert fact("confidence", TRAIN, NONE_YET).note == "there is no version to run"
    assert fact("version_form", TRAIN, view(ProbeStep.TRAINED, dataset({}, model_version=None))).value is None
    assert fact("version_form", TRAIN, view(ProbeStep.TRAINED, {"status": "OK"})).value is None


@pytest.mark.parametrize(
    ("confidence", "found"),
    [("97.5", "string"), (97.5, "number"), (97, "number"), ("97.5%", "percent"), (True, "other"), (None, "other")],
)
def test_the_form_of_a_confidence(confidence: object, found: str) -> None:
    assert value("confidence", *trained(), detected(ProbeStep.DETECT_PLAIN, confidence=confidence)) == found


def test_a_detection_that_is_no_object_has_no_confidence() -> None:
    odd = Exchange(ProbeStep.DETECT_PLAIN, DETECT, status=200, body=[])
    assert value("confidence", *trained(), odd) == "other"
    assert value("orientation_trained", *trained(), odd) is None


@pytest.mark.parametrize(
    ("plain", "tagged", "training", "detection"),
    [
        ("Standing", "Standing", "ignored", "ignored"),
        ("Standing", "Lying", "ignored", "turned"),
        ("Lying", "Standing", "turned", "turned"),
        ("Lying", "Lying", "turned", "ignored"),
        ("Lying", "Sizes", "turned", None),
        ("Sizes", "Lying", None, None),
    ],
)
def test_what_an_orientation_tag_does(plain: str, tagged: str, training: str | None, detection: str | None) -> None:
    log: list[Any] = [*trained(), detected(ProbeStep.DETECT_PLAIN, plain), detected(ProbeStep.DETECT_TAGGED, tagged)]
    assert value("orientation_trained", *log) == training
    assert value("orientation_detected", *log) == detection


def test_detections_that_were_refused_tell_nothing() -> None:
    log = [
        *trained(),
        refused(ProbeStep.DETECT_PLAIN, "no", path=DETECT),
        refused(ProbeStep.DETECT_TAGGED, "no", path=DETECT),
    ]
    assert fact("confidence", *log).note == "the detections do not tell"
    assert value("orientation_trained", *log) is None
