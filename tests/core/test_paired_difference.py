"""Differences of two versions on the same images, and many comparisons at once."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.evaluation.paired_difference import (
    PairedCounts,
    correct_for_many,
    difference_interval,
    wilson_interval,
)


def _binomial(total: int, share: float) -> list[float]:
    return [math.comb(total, count) * share**count * (1 - share) ** (total - count) for count in range(total + 1)]


@pytest.mark.parametrize("cells", [(0.6, 0.1, 0.2, 0.1), (0.8, 0.1, 0.05, 0.05), (0.3, 0.2, 0.2, 0.3)])
def test_the_interval_of_a_difference_has_the_true_one_nineteen_times_of_twenty(
    cells: tuple[float, float, float, float],
) -> None:
    """Exactly, over every outcome of 25 images."""
    total, true = 25, cells[2] - cells[1]
    covered = 0.0
    for one, two, three in itertools.product(range(total + 1), repeat=3):
        if (rest := total - one - two - three) < 0:
            continue
        counts = PairedCounts(one, two, three, rest)
        low, high = difference_interval(counts)
        assert low <= counts.difference <= high
        ways = math.factorial(total) / math.prod(map(math.factorial, (one, two, three, rest)))
        covered += (
            (low <= true <= high)
            * ways
            * math.prod(share**count for share, count in zip(cells, (one, two, three, rest), strict=True))
        )
    assert 0.93 < covered < 0.985


def test_a_difference_is_that_of_the_shares_and_turns_with_the_versions() -> None:
    counts, turned = PairedCounts(20, 6, 1, 3), PairedCounts(20, 1, 6, 3)
    assert counts.difference == pytest.approx(21 / 30 - 26 / 30)
    low, high = difference_interval(counts)
    assert difference_interval(turned) == pytest.approx((-high, -low))


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        (PairedCounts(0, 0, 0, 0), (-1.0, 1.0)),
        (PairedCounts(10, 0, 0, 0), (-0.2775, 0.2775)),
        (PairedCounts(0, 0, 10, 0), (0.6076, 1.0)),
        (PairedCounts(0, 10, 0, 0), (-1.0, -0.6076)),
    ],
)
def test_intervals_at_the_edges(counts: PairedCounts, interval: tuple[float, float]) -> None:
    assert difference_interval(counts) == pytest.approx(interval, abs=2e-4)
    assert counts.difference == pytest.approx(0 if counts.total == counts.both else sum(interval) / abs(sum(interval)))


def test_versions_that_are_right_together_have_a_narrow_interval() -> None:
    """The same shares; only how often both are right differs."""
    together = difference_interval(PairedCounts(50, 5, 5, 40))
    apart = difference_interval(PairedCounts(30, 25, 25, 20))
    assert together[1] - together[0] < 0.6 * (apart[1] - apart[0])


def test_a_proportion_without_images_may_be_anything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0


@given(st.lists(st.floats(0, 1), max_size=7))
def test_holm_is_bonferroni_for_every_set_of_comparisons(p_values: list[float]) -> None:
    """The closed test: the largest corrected value of all sets that the comparison is in."""
    expected = [0.0] * len(p_values)
    for size in range(1, len(p_values) + 1):
        for members in itertools.combinations(range(len(p_values)), size):
            corrected = min(1.0, size * min(p_values[member] for member in members))
            for member in members:
                expected[member] = max(expected[member], corrected)
    assert correct_for_many(p_values) == pytest.approx(expected)
