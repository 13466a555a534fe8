"""Metrics of one version.

Computed by scikit-learn and scipy, which are imported on use: both are large.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.evaluation.calibration import Calibration, calibrate
from astica_sync.core.evaluation.confidence_sweep import Accepted, sweep

NO_ANSWER = "(no answer)"
"""Takes the place of a class title where the service answered without one."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer of a version for one held-out image. ``truth`` and ``label`` are class titles, ``label`` may be
    ``NO_ANSWER``; ``confidence`` is in percent, None where it is missing or its unit is not known."""

    name: str
    content: str
    truth: str
    label: str
    confidence: float | None

    @property
    def correct(self) -> bool:
        return self.truth == self.label


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """Precision, recall and F1 of one class, from 0 to 1, and its number of held-out images."""

    title: str
    precision: float
    recall: float
    f1: float
    images: int

    @property
    def scores(self) -> "tuple[float, float, float] | tuple[None, None, None]":
        """Precision, recall and F1; None where the class has no held-out images, so that nothing was measured."""
        return (self.precision, self.recall, self.f1) if self.images else (None, None, None)


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """So many ``images`` of the class ``truth`` got the answer ``label``; ``share`` is their share of that class."""

    truth: str
    label: str
    images: int
    share: float


@dataclass(frozen=True, slots=True)
class VersionMetrics:
    """The metrics of one version.

    ``correct`` of ``total`` images were classified correctly; ``unanswered`` of them got no class as answer, which is
    no correct one. ``low`` and ``high`` are the 95 % confidence interval of
    the accuracy (Wilson). ``confusion`` has one row per true class and one column per predicted class, both in the
    order of ``titles``.
    """

    version: str
    correct: int
    total: int
    low: float
    high: float
    classes: tuple[ClassMetrics, ...]
    titles: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    predictions: tuple[Prediction, ...]
    unanswered: int = 0

    @property
    def accuracy(self) -> float:
        """The share of correctly classified images, from 0 to 1."""
        return self.correct / self.total

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have held-out images."""
        measured = [one.f1 for one in self.classes if one.images]
        return sum(measured) / len(measured)

    @property
    def weighted_f1(self) -> float:
        """The mean F1 of the classes, each weighted by its number of held-out images."""
        return sum(one.f1 * one.images for one in self.classes) / self.total

    @property
    def calibration(self) -> Calibration | None:
        """Whether the version is correct as often as it states; None where no answer has a confidence in percent."""
        return calibrate((one.confidence, one.correct) for one in self.predictions if one.confidence is not None)

    def sweep(self, title: str | None = None) -> list[Accepted]:
        """What is accepted at each confidence, of all answers or of those that name the class ``title``. An answer
        without a class, or without a confidence in percent, is never accepted."""
        return sweep(
            (one.confidence, one.correct)
            for one in self.predictions
            if one.confidence is not None and one.label != NO_ANSWER and title in (None, one.label)
        )

    def confused_pairs(self, limit: int | None = None) -> list[ConfusedPair]:
        """The wrong answers by class and answer, the most frequent pair first."""
        images = Counter(one.truth for one in self.predictions)
        pairs = Counter((one.truth, one.label) for one in self.predictions if not one.correct)
        ordered = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
        return [ConfusedPair(*pair, count, count / images[pair[0]]) for pair, count in ordered[:limit]]

    @property
    def mistakes(self) -> list[Prediction]:
        """The wrong predictions, the most confident first."""
        wrong = [prediction for prediction in self.predictions if not prediction.correct]
        return sorted(wrong, key=lambda prediction: (-(prediction.confidence or 0.0), prediction.name))

    def most_confused(self, limit: int) -> list[int]:
        """The indexes in ``titles`` of at most ``limit`` classes, those with the most mistakes, in ascending order."""
        mistakes = [
            sum(row) + sum(other[index] for other in self.confusion) - 2 * row[index]
            for index, row in enumerate(self.confusion)
        ]
        return sorted(sorted(range(len(mistakes)), key=lambda index: (-mistakes[index], index))[:limit])


def compute_metrics(version: str, predictions: Sequence[Prediction]) -> VersionMetrics:
    """The metrics of one version; ``predictions`` is not empty."""
    from scipy.stats import binomtest
    from sklearn.metrics import precision_recall_fscore_support

    truth = [prediction.truth for prediction in predictions]
    predicted = [prediction.label for prediction in predictions]
    titles = sorted({*truth, *predicted})
    pairs = Counter(zip(truth, predicted, strict=True))
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, labels=titles, zero_division=0.0)
    correct = sum(prediction.correct for prediction in predictions)
    interval = binomtest(correct, len(predictions)).proportion_ci(method="wilson")
    return VersionMetrics(
        version,
        correct,
        len(predictions),
        float(interval.low),
        float(interval.high),
        tuple(
            ClassMetrics(title, float(precision[index]), float(recall[index]), float(f1[index]), int(support[index]))
            for index, title in enumerate(titles)
            if title != NO_ANSWER
        ),
        tuple(titles),
        tuple(tuple(pairs[one, other] for other in titles) for one in titles),
        tuple(predictions),
        predicted.count(NO_ANSWER),
    )
