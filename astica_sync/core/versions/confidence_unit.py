"""The unit of a version's confidences: percent, or shares of one. The documentation shows "100" and names no unit."""

from dataclasses import dataclass
from enum import Enum

ANSWERS_NEEDED = 10
"""So many answers, none above 1, show that the confidences are shares: as percent, each of them would say that the
version hardly believes its own best answer."""

LARGEST_SHARE = 1.001
"""A share may be a little above 1, since the sum of a softmax in single precision is."""


class Unit(Enum):
    """What a confidence without a percent sign is."""

    PERCENT = "percent"
    SHARE = "share of one"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Confidence:
    """A confidence as the service wrote it, from 0 to 100; ``percent_sign``: it was written with one."""

    value: float
    percent_sign: bool = False

    def to_percent(self, unit: Unit) -> float | None:
        """In percent; None where the unit is not known. Zero is zero in every unit."""
        if self.percent_sign or unit is Unit.PERCENT or self.value == 0:
            return self.value
        return min(self.value, 1.0) * 100 if unit is Unit.SHARE and self.value <= LARGEST_SHARE else None


@dataclass(slots=True)
class ConfidenceRange:
    """The range of the confidences of one version that were written without a percent sign.

    ``between`` counts those between 0 and 1, both excluded: a version that writes "1" for every image may mean either.
    ``above`` counts those that no share can be (above ``LARGEST_SHARE``).
    """

    count: int = 0
    between: int = 0
    above: int = 0

    def add(self, confidence: Confidence | None) -> None:
        """Counts one answer; one without a confidence tells nothing."""
        if confidence is None or confidence.percent_sign:
            return
        self.count += 1
        self.between += 0 < confidence.value < 1
        self.above += confidence.value > LARGEST_SHARE

    @property
    def unit(self) -> Unit:
        """What the answers so far show; a few that contradict the others do not decide."""
        if self.above and self.above >= self.between:
            return Unit.PERCENT
        shares = self.count >= ANSWERS_NEEDED and self.between
        return Unit.SHARE if shares and self.above * ANSWERS_NEEDED <= self.between else Unit.UNKNOWN
