"""Whether one version is significantly better than another, on all images and in each class.

The p-values are those of McNemar's exact test, by scipy's binomial test, which is imported on use: it is large.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from astica_sync.core.evaluation.paired_difference import PairedCounts, correct_for_many, difference_interval
from astica_sync.training.evaluation.metrics import Prediction, VersionMetrics

SIGNIFICANCE_LEVEL = 0.05
"""A difference with a smaller p-value is called significant."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions on the same images. ``corrected`` is the p-value corrected for all comparisons that were made with
    it (Holm)."""

    counts: PairedCounts
    p_value: float
    corrected: float

    @property
    def value(self) -> float:
        """The share of images that the second version classifies correctly, minus that of the first."""
        return self.counts.difference

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of ``value``; not corrected for other comparisons."""
        return difference_interval(self.counts)

    @property
    def significant(self) -> bool:
        """Whether chance alone is an unlikely explanation of the difference."""
        return self.corrected < SIGNIFICANCE_LEVEL


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the same images. ``classes`` has the difference of recall of each class; ``comparisons`` is the
    number of comparisons that the p-value is corrected for."""

    before: str
    after: str
    overall: Difference
    classes: tuple[tuple[str, Difference], ...]
    comparisons: int = 1

    @property
    def significant(self) -> bool:
        """Whether chance alone is an unlikely explanation of the difference on all images."""
        return self.overall.significant

    @property
    def sentence(self) -> str:
        """The result in words."""
        counts = self.overall.counts
        if counts.only_before == counts.only_after == 0:
            return f"{self.before} and {self.after} classify the same images correctly."
        sides = [(self.after, counts.only_after), (self.before, counts.only_before)]
        (better, more), (worse, fewer) = sorted(sides, key=lambda side: -side[1])
        images = "image is" if more == 1 else "images are"
        split = f"{more:,} {images} classified correctly by {better} only, {fewer:,} by {worse} only"
        corrected = f", corrected for {self.comparisons:,} comparisons" if self.comparisons > 1 else ""
        if not self.significant:
            return (
                f"The difference between {self.before} and {self.after} is not significant: {split} "
                f"(p = {self.overall.corrected:.2f}{corrected})."
            )
        return f"{better} is significantly better than {worse}: {split} ({_p_text(self.overall.corrected)}{corrected})."


def compare_all(measured: Sequence[VersionMetrics], baseline: str | None = None) -> tuple[Comparison, ...]:
    """Compares each version with the baseline; without one, with the version before it. All p-values are corrected
    together, and those of all classes as well. A baseline that is not among the versions is compared with none."""
    if baseline is None:
        pairs = list(pairwise(measured))
    else:
        others = [one for one in measured if one.version != baseline]
        pairs = [(one, other) for one in measured if one.version == baseline for other in others]
    found = [_compare(before, after) for before, after in pairs]
    overall = correct_for_many([one.overall.p_value for one in found])
    of_classes = iter(correct_for_many([each.p_value for one in found for _, each in one.classes]))
    return tuple(
        replace(
            one,
            overall=replace(one.overall, corrected=corrected),
            classes=tuple((title, replace(each, corrected=next(of_classes))) for title, each in one.classes),
            comparisons=len(found),
        )
        for one, corrected in zip(found, overall, strict=True)
    )


def _compare(before: VersionMetrics, after: VersionMetrics) -> Comparison:
    """Compares two versions on the images that both have predictions for."""
    correct_before = {prediction.name: prediction.correct for prediction in before.predictions}
    common = [prediction for prediction in after.predictions if prediction.name in correct_before]
    by_class: dict[str, list[Prediction]] = {}
    for prediction in common:
        by_class.setdefault(prediction.truth, []).append(prediction)
    return Comparison(
        before.version,
        after.version,
        _difference((correct_before[one.name], one.correct) for one in common),
        tuple(
            (title, _difference((correct_before[one.name], one.correct) for one in own))
            for title, own in sorted(by_class.items())
        ),
    )


def _difference(pairs: Iterable[tuple[bool, bool]]) -> Difference:
    from scipy.stats import binomtest

    outcomes = Counter(pairs)
    cells = ((True, True), (True, False), (False, True), (False, False))
    counts = PairedCounts(*(outcomes[cell] for cell in cells))
    different = counts.only_before + counts.only_after
    p_value = float(binomtest(counts.only_before, different).pvalue) if different else 1.0
    return Difference(counts, p_value, p_value)


def _p_text(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
