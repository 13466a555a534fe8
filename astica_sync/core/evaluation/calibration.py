"""Whether a version is correct as often as its confidence states."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

BINS = 10
_INNER_EDGES = [100 * place / BINS for place in range(1, BINS)]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The answers with a confidence above ``low`` and up to ``high`` percent: their number, mean confidence and share
    of correct ones, both from 0 to 1. The first bin has confidence 0 as well."""

    low: float
    high: float
    answers: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The bins with answers. ``error`` is the expected calibration error: the mean distance of confidence and accuracy
    over the bins, each weighted by its answers."""

    bins: tuple[CalibrationBin, ...]
    error: float


def calibrate(answers: Iterable[tuple[float, bool]]) -> Calibration | None:
    """The calibration in ten bins of equal width; None without answers. ``answers`` are confidences in percent, each
    with whether the answer is correct."""
    members: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, correct in answers:
        members[bisect_left(_INNER_EDGES, confidence)].append((confidence, correct))
    bins = tuple(
        CalibrationBin(
            100 * place / BINS,
            100 * (place + 1) / BINS,
            len(own),
            sum(confidence for confidence, _ in own) / len(own) / 100,
            sum(correct for _, correct in own) / len(own),
        )
        for place, own in enumerate(members)
        if own
    )
    total = sum(one.answers for one in bins)
    if not total:
        return None
    return Calibration(bins, sum(one.answers * abs(one.accuracy - one.confidence) for one in bins) / total)
