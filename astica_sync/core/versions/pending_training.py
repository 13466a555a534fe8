"""A training that was requested and whose version has not appeared: whether it has finished, and what was skipped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.model import ModelInfo
from astica_sync.core.versions.version import Version, is_recorded

SECONDS_PER_SAMPLE = 0.1
"""The documentation's figure for larger vision models (section "Initialize Training")."""

USUAL_SECONDS = 600.0
"""In most cases training is complete within 5 to 10 minutes (the same section)."""

MOST_SKIPPED = 3
MOST_TRAININGS = 1000
"""So many trainings are not made between two looks: numbers that are further apart are dates."""
_NUMBERED = re.compile(r"(.*?_)?([1-9][0-9]{0,14})")
_TIME_OF_DAY = re.compile(r"(?:.*_)?[0-9]{8}_[0-9]{6}")


PENDING = "training"
"""The journal's key for a training that was requested and whose version has not appeared."""


@dataclass(frozen=True, slots=True)
class Training:
    """A training that was requested and whose version has not appeared yet. The journal stores these fields by name.

    ``asked_at`` is the time just before the request was sent, ``answered`` whether the service confirmed it. ``name``
    and ``trained_at`` are those of the version that the service showed before, ``known`` is how many versions had been
    seen by then.
    """

    snapshot: str
    samples: int
    asked_at: float
    answered: bool
    name: str
    trained_at: float | None
    known: int = 0

    @property
    def expected_seconds(self) -> float:
        """How long the training may take according to the service's documentation."""
        return max(USUAL_SECONDS, self.samples * SECONDS_PER_SAMPLE)


def has_newer(training: Training, now: ModelInfo, versions: Sequence[Version]) -> bool:
    """Whether the training has finished: the version has another name, or the date of training has changed.

    A version that was seen before the request never counts as its result, even if a stale answer shows it again.
    """
    if is_recorded(now, versions[: training.known]):
        return False
    if now.version and now.version != training.name:
        return True
    return now.trained_at is not None and now.trained_at != training.trained_at


def skipped_names(before: str, now: str) -> list[str]:
    """The names between those of two versions, where names end with a number that counts up: another training may
    have made versions that were never shown. Empty where names do not count up."""
    between = _numbers_between(before, now)
    prefix = now[: now.rfind("_") + 1]
    return [f"{prefix}{number}" for number in between or ()]


def counts_up(before: str, now: str) -> bool:
    """Whether the names end with numbers that count versions, so that ``skipped_names`` finds those between them."""
    return _numbers_between(before, now) is not None


def _numbers_between(before: str, now: str) -> range | None:
    """None where the names do not end with numbers, or with times: a date before it, or ``MOST_TRAININGS`` apart."""
    if _TIME_OF_DAY.fullmatch(now):
        return None
    first, last = _NUMBERED.fullmatch(before), _NUMBERED.fullmatch(now)
    if first is None or last is None or (first[1] or "") != (last[1] or ""):
        return None
    numbers = range(int(first[2]) + 1, int(last[2]))
    return numbers if int(first[2]) < int(last[2]) and len(numbers) <= MOST_TRAININGS else None


def never_shown(training: Training, now: ModelInfo, versions: Sequence[Version]) -> list[str]:
    """The names that were skipped since the training was requested, without those of ``versions``: an answer that is
    behind may show an earlier version when a training is requested."""
    known = {version.name for version in versions}
    return [name for name in skipped_names(training.name, now.version or "") if name not in known]


def is_overdue(training: Training, now: float, quarantine: float) -> bool:
    """Whether the version should have appeared by now, so that the request may be considered lost."""
    return now - training.asked_at > training.expected_seconds + quarantine
