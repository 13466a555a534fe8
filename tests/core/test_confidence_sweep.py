"""Answers by confidence: accepted ones and calibration."""

import pytest

from astica_sync.core.evaluation.calibration import calibrate
from astica_sync.core.evaluation.confidence_sweep import Accepted, accepted_at, find_threshold, sweep

ANSWERS = [(99.0, True), (90.0, True), (90.0, False), (70.0, True), (40.0, False), (40.0, True)]


def test_answers_of_one_confidence_are_accepted_together() -> None:
    assert sweep(ANSWERS) == [Accepted(99.0, 1, 1), Accepted(90.0, 3, 2), Accepted(70.0, 4, 3), Accepted(40.0, 6, 4)]
    assert sweep([]) == []


def test_a_threshold_between_two_confidences_accepts_those_above() -> None:
    points = sweep(ANSWERS)
    assert accepted_at(points, 80.0) == Accepted(80.0, 3, 2)
    assert accepted_at(points, 70.0) == Accepted(70.0, 4, 3)
    assert accepted_at(points, 0.0) == Accepted(0.0, 6, 4)
    assert accepted_at(points, 99.5) == Accepted(99.5, 0, 0)
    assert accepted_at(points, 99.5).precision is None


@pytest.mark.parametrize(("precision", "threshold"), [(0.6, 40.0), (0.7, 70.0), (0.75, 70.0), (0.8, 99.0), (1.0, 99.0)])
def test_the_lowest_threshold_of_a_precision_is_found_beyond_a_worse_one(precision: float, threshold: float) -> None:
    """At 90 the precision is 0.67, at 70 it is 0.75."""
    found = find_threshold(sweep(ANSWERS), precision)
    assert found is not None and found.threshold == threshold and found.precision is not None
    assert found.precision >= precision


def test_seven_of_a_hundred_are_seven_percent() -> None:
    """0.07 * 100 is a little more than 7."""
    assert find_threshold([Accepted(50.0, 100, 7)], 0.07) == Accepted(50.0, 100, 7)
    assert find_threshold(sweep([(50.0, False)]), 0.5) is None


def test_a_version_that_is_as_sure_as_it_is_right_has_no_calibration_error() -> None:
    calibration = calibrate([(75.0, place < 75) for place in range(100)])
    assert calibration is not None and calibration.error == pytest.approx(0.0)
    (only,) = calibration.bins
    assert (only.low, only.high, only.answers) == (70.0, 80.0, 100)
    assert calibrate([]) is None


def test_the_calibration_error_is_the_weighted_distance() -> None:
    calibration = calibrate([(100.0, True), (100.0, False), (0.0, False), (10.0, True)])
    assert calibration is not None
    assert [(one.low, one.answers, one.confidence, one.accuracy) for one in calibration.bins] == [
        (0.0, 2, pytest.approx(0.05), 0.5),
        (90.0, 2, 1.0, 0.5),
    ]
    assert calibration.error == pytest.approx((0.45 + 0.5) / 2)
