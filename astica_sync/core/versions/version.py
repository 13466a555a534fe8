"""Versions: which training made which, whether a new one is there, and what speaks against asking for one."""

from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.plan.plan import Plan

SECONDS_PER_SAMPLE = 0.1
"""The documentation's figure for larger vision models (section "Initialize Training")."""

USUAL_SECONDS = 600.0
"""In most cases training is complete within 5 to 10 minutes (the same section)."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version that was ever seen.

    ``number`` counts them in the order they were seen, from 1. ``trained_at`` is the service's date and ``seen_at``
    ours, both in seconds since the epoch. ``snapshot`` is the id of the data it was made of, None for one that was
    made elsewhere. ``name`` is empty where the service shows a date of training and no name.
    """

    number: int
    name: str
    trained_at: float | None
    seen_at: float
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class Training:
    """A training that was asked for and has not shown a version yet.

    ``asked_at`` is when the request was about to leave, ``answered`` whether the service confirmed it; ``name`` and
    ``trained_at`` are what the service showed before, and ``known`` is how many versions had been seen by then.
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
        """How long it may take by the documentation."""
        return max(USUAL_SECONDS, self.samples * SECONDS_PER_SAMPLE)


def has_newer(training: Training, now: ModelInfo, versions: Sequence[Version]) -> bool:
    """Whether a training finished since: the version has another name, or else the date of training changed.

    What had been seen before the training was asked for is none of it, even where an answer that lags shows it again.
    """
    if is_recorded(now, versions[: training.known]):
        return False
    if now.version and now.version != training.name:
        return True
    return now.trained_at is not None and now.trained_at != training.trained_at


def is_overdue(training: Training, now: float, quarantine: float) -> bool:
    """Whether a version would be there by now, so that the request may be taken for lost."""
    return now - training.asked_at > training.expected_seconds + quarantine


def is_recorded(info: ModelInfo, versions: Sequence[Version]) -> bool:
    """Whether the version that a model shows is one of these."""
    if not info.version and info.trained_at is None:
        return True
    named = [version for version in versions if version.name == (info.version or "")]
    if info.trained_at is None:
        return bool(named)
    # A date that the service showed once and leaves out now is no other training.
    return any(version.trained_at in (None, info.trained_at) for version in named)


def find_versions(text: str, versions: Sequence[Version]) -> list[Version]:
    """The versions that a person may mean: ``@3`` by number, else by name; the whole name, or else its beginning."""
    if text.startswith("@"):
        return [version for version in versions if str(version.number) == text[1:]]
    named = [version for version in versions if version.name == text]
    return named or [version for version in versions if text and version.name.startswith(text)]


@dataclass(frozen=True, slots=True)
class Objection:
    """What speaks against a training. ``harmless``: a person may want it all the same (``--anyway``)."""

    reason: str
    hint: str
    harmless: bool = False


def find_objections(plan: Plan, observation: Observation) -> list[Objection]:
    """Everything that speaks against training now, the gravest first."""
    objections = []
    filled = [entry.title for entry in observation.classes if entry.samples]
    if len(filled) < 2:
        has = f"only {filled[0]!r}" if filled else "none"
        coming = {entry.class_title for entry in plan.uploads}.union(filled)
        hint = "Run astica-sync push first." if len(coming) > 1 else "Add a class, then push."
        objections.append(Objection(f"a training needs samples in two classes at least, the model has {has}", hint))
    doubtful = [entry.class_title for entry in plan.waiting]
    if doubtful:
        objections.append(
            Objection(
                f"the outcome of {_count(len(doubtful), 'request')} is not known yet, in {_titles(doubtful)}",
                "Run astica-sync push, which waits until the service shows what became of them.",
            )
        )
    differs = {
        "to upload": [entry.class_title for entry in plan.uploads + plan.questioned + plan.failed_before],
        "to remove": [entry.class_title for entry in plan.removed] + [entry.class_title for entry in plan.held],
    }
    told = [f"{len(titles):,} {what} in {_titles(titles)}" for what, titles in differs.items() if titles]
    if plan.incomplete:
        told.append("a part of the store could not be read")
    if told:
        objections.append(
            Objection(
                f"store and service differ: {', '.join(told)}",
                "Run astica-sync push first, or train --anyway on what the service has.",
                harmless=True,
            )
        )
    return objections


def _titles(titles: Sequence[str]) -> str:
    different = sorted(set(titles))
    shown = ", ".join(repr(title) for title in different[:3])
    return shown if len(different) <= 3 else f"{shown} and {len(different) - 3} more classes"


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"
