"""What remains, and how much of it is correct, where only answers above a confidence are accepted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answers with at least the confidence ``threshold``, in percent: how many, and how many of them are
    correct."""

    threshold: float
    answers: int
    correct: int

    @property
    def precision(self) -> float | None:
        """The share of the accepted answers that is correct, None where none is accepted."""
        return self.correct / self.answers if self.answers else None


def sweep(answers: Iterable[tuple[float, bool]]) -> list[Accepted]:
    """What is accepted at each confidence that occurs, the highest first. ``answers`` are confidences in percent, each
    with whether the answer is correct."""
    points: list[Accepted] = []
    accepted = correct = 0
    for threshold, group in groupby(sorted(answers, key=lambda one: -one[0]), key=lambda one: one[0]):
        outcomes = [is_correct for _, is_correct in group]
        accepted += len(outcomes)
        correct += sum(outcomes)
        points.append(Accepted(threshold, accepted, correct))
    return points


def accepted_at(points: Sequence[Accepted], threshold: float) -> Accepted:
    """What is accepted at any threshold, from the points of a sweep."""
    reached = [point for point in points if point.threshold >= threshold]
    return Accepted(threshold, reached[-1].answers, reached[-1].correct) if reached else Accepted(threshold, 0, 0)


def find_threshold(points: Sequence[Accepted], precision: float) -> Accepted | None:
    """The lowest threshold at which the accepted answers have at least this precision; None where none has it.

    Precision need not rise with the threshold: at a higher one than this, it may be lower.
    """
    # Each point of a sweep has at least one answer.
    good = [point for point in points if point.correct / point.answers >= precision]
    return good[-1] if good else None
