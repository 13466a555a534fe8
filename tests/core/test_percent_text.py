"""Percentages: none is rounded to all or to nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.evaluation.percent_text import percent


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1.0, "100.0 %"),
        (0.0, "0.0 %"),
        (0.975, "97.5 %"),
        (2 / 3, "66.7 %"),
        (1999 / 2000, "99.95 %"),
        (99_999 / 100_000, "99.999 %"),
        (1 / 4000, "0.03 %"),
        # The sum of floating-point numbers that are all 1 may be a little less.
        (1 - 1e-15, "100.0 %"),
        (1 + 1e-15, "100.0 %"),
        (-1e-15, "0.0 %"),
    ],
)
def test_a_share_has_the_digits_it_needs(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_a_difference_has_its_sign_and_whole_percents_have_no_digits() -> None:
    assert [percent(value, signed=True) for value in (0.125, -0.125, 0.0, -0.0002)] == [
        "+12.5 %",
        "-12.5 %",
        "+0.0 %",
        "-0.02 %",
    ]
    assert [percent(value, digits=0) for value in (0.87, 1.0, 0.996, 0.9999)] == ["87 %", "100 %", "99.6 %", "99.99 %"]


@given(total=st.integers(1, 10**6), data=st.data())
def test_only_all_is_a_hundred_percent_and_only_none_is_nothing(total: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, total))
    shown = float(percent(right / total).removesuffix(" %"))
    assert (shown == 100) == (right == total) and (shown == 0) == (right == 0)
    assert shown == pytest.approx(100 * right / total, abs=0.051)
