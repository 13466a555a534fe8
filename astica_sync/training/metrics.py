"""Metrics of a version, and whether one version is significantly better than another.

Computed by scikit-learn and scipy, which are imported on use: both are large.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SIGNIFICANCE_LEVEL = 0.05
"""A difference with a smaller p-value is called significant."""


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the same images. ``only_before`` images were classified correctly by ``before`` alone,
    ``only_after`` by ``after`` alone; ``p_value`` is that of McNemar's exact test."""

    before: str
    after: str
    only_before: int
    only_after: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether chance alone is an unlikely explanation of the difference."""
        return self.p_value < SIGNIFICANCE_LEVEL

    @property
    def sentence(self) -> str:
        """The result in words."""
        if self.only_before == self.only_after == 0:
            return f"{self.before} and {self.after} classify the same images correctly."
        sides = [(self.after, self.only_after), (self.before, self.only_before)]
        (better, more), (worse, fewer) = sorted(sides, key=lambda side: -side[1])
        images = "image is" if more == 1 else "images are"
        split = f"{more:,} {images} classified correctly by {better} only, {fewer:,} by {worse} only"
        if not self.significant:
            return (
                f"The difference between {self.before} and {self.after} is not significant: {split} "
                f"(p = {self.p_value:.2f})."
            )
        return f"{better} is significantly better than {worse}: {split} ({_p_text(self.p_value)})."


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


def compare_versions(before: VersionMetrics, after: VersionMetrics) -> Comparison:
    """Compares two versions on the images that both have predictions for."""
    from scipy.stats import binomtest

    correct_before = {prediction.name: prediction.correct for prediction in before.predictions}
    pairs = [
        (correct_before[prediction.name], prediction.correct)
        for prediction in after.predictions
        if prediction.name in correct_before
    ]
    only_before = sum(one and not two for one, two in pairs)
    only_after = sum(two and not one for one, two in pairs)
    different = only_before + only_after
    p_value = float(binomtest(only_before, different).pvalue) if different else 1.0
    return Comparison(before.version, after.version, only_before, only_after, p_value)


def _p_text(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
