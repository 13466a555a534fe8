"""The unit of a version's confidences: percent, or shares of one. The documentation shows "100" and names no unit."""

from dataclasses import dataclass
from enum import Enum

ANSWERS_NEEDED = 10
"""So many answers, none above 1, show that the confidences are shares: as percent, each of them would say that the
version hardly believes its own best answer."""


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
        return self.value * 100 if unit is Unit.SHARE and self.value <= 1 else None


@dataclass(slots=True)
class ConfidenceRange:
    """The range of the confidences of one version that were written without a percent sign.

    ``between`` counts those between 0 and 1, both excluded: a version that writes "1" for every image may mean either.
    """

    count: int = 0
    largest: float = 0.0
    between: int = 0

    def add(self, confidence: Confidence | None) -> None:
        """Counts one answer; one without a confidence tells nothing."""
        if confidence is None or confidence.percent_sign:
            return
        self.count += 1
        self.largest = max(self.largest, confidence.value)
        self.between += 0 < confidence.value < 1

    @property
    def unit(self) -> Unit:
        """What the answers so far show."""
        if self.largest > 1:
            return Unit.PERCENT
        return Unit.SHARE if self.count >= ANSWERS_NEEDED and self.between else Unit.UNKNOWN
