"""How good a version is, and whether one is better than another. The arithmetic is scikit-learn's and scipy's."""

from collections.abc import Sequence
from dataclasses import dataclass

SURE = 0.05
"""Below this chance of a coincidence a difference is called real."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version said of one held-out image. ``truth`` and ``label`` are class titles, ``confidence`` percent."""

    name: str
    content: str
    truth: str
    label: str
    confidence: float

    @property
    def right(self) -> bool:
        return self.truth == self.label


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Of one class, from 0 to 1: precision, recall, and their harmonic mean; ``images`` were held out of it."""

    title: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What one version scored. The accuracy lies between ``low`` and ``high`` with a certainty of 95 % (Wilson).

    ``confusion`` has a row for each title that is true and a column for each that was said, in the order of
    ``titles``.
    """

    version: str
    right: int
    shown: int
    low: float
    high: float
    classes: tuple[ClassScore, ...]
    titles: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    answers: tuple[Answer, ...]

    @property
    def accuracy(self) -> float:
        return self.right / self.shown

    @property
    def mistakes(self) -> list[Answer]:
        """The wrong answers, the most confident first."""
        wrong = [answer for answer in self.answers if not answer.right]
        return sorted(wrong, key=lambda answer: (-answer.confidence, answer.name))

    def most_confused(self, most: int) -> list[int]:
        """The places of so many titles at most, those with the most mistakes, in the order of ``titles``."""
        wrong = [
            sum(row) + sum(other[place] for other in self.confusion) - 2 * row[place]
            for place, row in enumerate(self.confusion)
        ]
        return sorted(sorted(range(len(wrong)), key=lambda place: (-wrong[place], place))[:most])


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions on the same images: how many each alone had right, and how likely so uneven a split is by chance
    (McNemar's test, exact)."""

    before: str
    after: str
    only_before: int
    only_after: int
    chance: float

    @property
    def real(self) -> bool:
        """Whether chance hardly explains the difference."""
        return self.chance < SURE

    @property
    def sentence(self) -> str:
        """What it means, for a person."""
        if self.only_before == self.only_after == 0:
            return f"{self.before} and {self.after} are right about the same images."
        sides = [(self.after, self.only_after), (self.before, self.only_before)]
        (better, more), (worse, fewer) = sorted(sides, key=lambda side: -side[1])
        images = "image is" if more == 1 else "images are"
        split = f"{more:,} {images} right with {better} alone, {fewer:,} with {worse} alone"
        if not self.real:
            return (
                f"The difference between {self.before} and {self.after} may be chance: {split}; "
                f"equally good versions differ so much in {self.chance:.0%} of all cases."
            )
        return (
            f"{better} is really better than {worse}: {split}; "
            f"equally good versions differ so much in {_rare(self.chance)} of all cases."
        )


def measure(version: str, answers: Sequence[Answer]) -> Measured:
    """The scores of one version; ``answers`` is not empty."""
    from scipy.stats import binomtest
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    truth = [answer.truth for answer in answers]
    said = [answer.label for answer in answers]
    titles = sorted({*truth, *said})
    precision, recall, f1, support = precision_recall_fscore_support(truth, said, labels=titles, zero_division=0.0)
    right = sum(answer.right for answer in answers)
    interval = binomtest(right, len(answers)).proportion_ci(method="wilson")
    return Measured(
        version,
        right,
        len(answers),
        float(interval.low),
        float(interval.high),
        tuple(
            ClassScore(title, float(precision[place]), float(recall[place]), float(f1[place]), int(support[place]))
            for place, title in enumerate(titles)
        ),
        tuple(titles),
        tuple(tuple(int(count) for count in row) for row in confusion_matrix(truth, said, labels=titles)),
        tuple(answers),
    )


def compare(before: Measured, after: Measured) -> Compared:
    """Compares two versions on the images that both answered for."""
    from scipy.stats import binomtest

    first = {answer.name: answer.right for answer in before.answers}
    pairs = [(first[answer.name], answer.right) for answer in after.answers if answer.name in first]
    only_before = sum(one and not two for one, two in pairs)
    only_after = sum(two and not one for one, two in pairs)
    apart = only_before + only_after
    chance = float(binomtest(only_before, apart).pvalue) if apart else 1.0
    return Compared(before.version, after.version, only_before, only_after, chance)


def _rare(chance: float) -> str:
    return "fewer than 1 in 1,000" if chance < 0.001 else f"{chance:.1%}"
