"""The unit of confidences, as the range shows it over a version's answers."""

import pytest

from astica_sync.core.versions.confidence_unit import ANSWERS_NEEDED, Confidence, ConfidenceRange, Unit


def unit_of(*values: float) -> Unit:
    seen = ConfidenceRange()
    for value in values:
        seen.add(Confidence(value))
    return seen.unit


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ((), Unit.UNKNOWN),
        ((0.97,), Unit.UNKNOWN),
        ((0.97,) * (ANSWERS_NEEDED - 1), Unit.UNKNOWN),
        ((0.97,) * ANSWERS_NEEDED, Unit.SHARE),
        ((0.97, 1.0) * ANSWERS_NEEDED, Unit.SHARE),
        ((1.0,) * ANSWERS_NEEDED, Unit.UNKNOWN),
        ((0.0, 1.0) * ANSWERS_NEEDED, Unit.UNKNOWN),
        ((97.5,), Unit.PERCENT),
        ((0.9,) * ANSWERS_NEEDED + (1.0000001192,), Unit.SHARE),
        ((0.97,) * ANSWERS_NEEDED + (1.5,), Unit.SHARE),
        ((0.97,) * ANSWERS_NEEDED + (97.5,) * 2, Unit.UNKNOWN),
        ((97.5,) * ANSWERS_NEEDED + (0.4,), Unit.PERCENT),
        ((100.0,), Unit.PERCENT),
    ],
)
def test_the_unit_follows_from_the_range_or_is_unknown(values: tuple[float, ...], unit: Unit) -> None:
    assert unit_of(*values) is unit


def test_a_percent_sign_is_about_its_own_confidence_alone() -> None:
    seen = ConfidenceRange()
    for _ in range(ANSWERS_NEEDED):
        seen.add(Confidence(97.5, percent_sign=True))
        seen.add(None)
    assert seen.unit is Unit.UNKNOWN
    assert Confidence(0.5, percent_sign=True).to_percent(Unit.SHARE) == 0.5


@pytest.mark.parametrize(
    ("value", "unit", "percent"),
    [
        (0.97, Unit.SHARE, 97.0),
        (0.97, Unit.PERCENT, 0.97),
        (0.97, Unit.UNKNOWN, None),
        (1.0, Unit.UNKNOWN, None),
        (1.0000001192, Unit.SHARE, 100.0),
        (0.0, Unit.UNKNOWN, 0.0),
        (40.0, Unit.PERCENT, 40.0),
        (40.0, Unit.SHARE, None),
    ],
)
def test_a_confidence_of_an_unknown_unit_is_not_shown_as_percent(
    value: float, unit: Unit, percent: float | None
) -> None:
    assert Confidence(value).to_percent(unit) == percent
