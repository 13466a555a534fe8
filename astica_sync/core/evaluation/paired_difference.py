"""The difference of two proportions on the same images, and p-values of several comparisons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.959963984540054
"""The normal distribution has 95 % within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """The images by which of two versions are correct: both, only the one before, only the one after, neither."""

    both: int
    only_before: int
    only_after: int
    neither: int

    @property
    def total(self) -> int:
        return self.both + self.only_before + self.only_after + self.neither

    @property
    def difference(self) -> float:
        """The share of correct images after, minus the share before; 0 without images."""
        return (self.only_after - self.only_before) / self.total if self.total else 0.0


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson); from 0 to 1 without images."""
    if not total:
        return 0.0, 1.0
    share, square = correct / total, _Z * _Z / total
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / total + square / total / 4) / (1 + square)
    return (0.0 if correct == 0 else middle - half), (1.0 if correct == total else middle + half)


def difference_interval(counts: PairedCounts) -> tuple[float, float]:
    """The 95 % interval of the difference: Newcombe's method 10, from the Wilson intervals of both versions and from
    how often they are correct together; from -1 to 1 without images.

    Newcombe, Improved confidence intervals for the difference between binomial proportions based on paired data,
    Statistics in Medicine 17 (1998).
    """
    if not counts.total:
        return -1.0, 1.0
    before, after = counts.both + counts.only_before, counts.both + counts.only_after
    share_before, share_after = before / counts.total, after / counts.total
    low_before, high_before = wilson_interval(before, counts.total)
    low_after, high_after = wilson_interval(after, counts.total)
    phi = _correlation(counts)
    down = _side(share_after - low_after, high_before - share_before, phi)
    up = _side(high_after - share_after, share_before - low_before, phi)
    return max(-1.0, counts.difference - down), min(1.0, counts.difference + up)


def _side(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _correlation(counts: PairedCounts) -> float:
    margins = (
        (counts.both + counts.only_before)
        * (counts.only_after + counts.neither)
        * (counts.both + counts.only_after)
        * (counts.only_before + counts.neither)
    )
    if not margins:
        return 0.0
    product = counts.both * counts.neither - counts.only_before * counts.only_after
    # Newcombe's correction for continuity.
    return (max(product - counts.total / 2, 0.0) if product > 0 else product) / math.sqrt(margins)


def correct_for_many(p_values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons, each raised so that all of them together are wrong as rarely as one alone
    (Holm)."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted
