"""Versions and trainings: which training made which version, whether it has finished, and what prevents a new one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.plan.plan import Plan

SECONDS_PER_SAMPLE = 0.1
"""The documentation's figure for larger vision models (section "Initialize Training")."""

USUAL_SECONDS = 600.0
"""In most cases training is complete within 5 to 10 minutes (the same section)."""

MOST_SKIPPED = 3
MOST_TRAININGS = 1000
"""So many trainings are not made between two looks: numbers that are further apart are dates."""
_NUMBERED = re.compile(r"(.*?_)?([1-9][0-9]{0,14})")
_TIME_OF_DAY = re.compile(r"(?:.*_)?[0-9]{8}_[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version that the service has shown.

    ``number`` counts versions in the order in which they were first seen, from 1. ``trained_at`` is the service's date
    of the training and ``seen_at`` the local time of the first observation, both in seconds since the epoch.
    ``snapshot`` is the id of the data the version was trained on, None if that is not known: the training was not
    started by this store, or ``unknown_because`` says why. ``name`` is empty where the service shows a date of training
    but no name.
    """

    number: int
    name: str
    trained_at: float | None
    seen_at: float
    snapshot: str | None
    unknown_because: str = ""


@dataclass(frozen=True, slots=True)
class VersionKey:
    """What tells a version from every other one: a new service, such as a fresh sandbox, gives out the same ids and
    names again. ``service`` are its addresses; both times are the service's."""

    service: str
    model_id: int
    model_created_at: float
    name: str
    trained_at: float


def make_version_key(service: str, model: ModelInfo, name: str, versions: Sequence[Version]) -> VersionKey | None:
    """The key of a version by its name; None where nothing distinguishes it from another one: no version of that name
    is known, or several, or the service shows no date of its training."""
    dates = [version.trained_at for version in versions if version.name == name]
    if len(dates) != 1 or dates[0] is None:
        return None
    return VersionKey(service, model.model_id, model.created_at or 0.0, name, dates[0])


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


def is_recorded(info: ModelInfo, versions: Sequence[Version]) -> bool:
    """Whether the version that the model shows is one of ``versions``; also true for a model without a version."""
    if not info.version and info.trained_at is None:
        return True
    named = [version for version in versions if version.name == (info.version or "")]
    if info.trained_at is None:
        return bool(named)
    # A service may show the date of a training once and omit it later.
    return any(version.trained_at in (None, info.trained_at) for version in named)


def find_versions(text: str, versions: Sequence[Version]) -> list[Version]:
    """The versions that ``text`` may refer to: by number (``@3``) or full name, otherwise by prefix. Where it is the
    number of one version and the name of another one, it may be both."""
    named = [version for version in versions if version.name == text]
    if text.startswith("@"):
        numbered = [version for version in versions if str(version.number) == text[1:]]
        return numbered if not named or (numbered and numbered[0] in named) else numbered + named
    return named or [version for version in versions if text and version.name.startswith(text)]


def name_apart(version: Version, versions: Sequence[Version]) -> str | None:
    """A text that refers to this version alone, its number or its name; None where each of them is another's too."""
    texts = (f"@{version.number}", version.name)
    return next((text for text in texts if find_versions(text, versions) == [version]), None)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a training should not start now. An ``overridable`` one is ignored with ``--anyway``."""

    reason: str
    hint: str
    overridable: bool = False


def find_objections(plan: Plan, observation: Observation) -> list[Objection]:
    """Everything that prevents a training now, the most serious first."""
    objections = []
    filled = [entry.title for entry in observation.classes if entry.samples]
    if len(filled) < 2:
        has = f"only {filled[0]!r}" if filled else "none"
        coming = {entry.class_title for entry in plan.uploads}.union(filled)
        hint = "Run: astica-sync push" if len(coming) > 1 else "Add a second class folder with images, then push."
        objections.append(Objection(f"a training needs samples in at least two classes, and the model has {has}", hint))
    doubtful = [entry.class_title for entry in plan.waiting]
    if doubtful:
        objections.append(
            Objection(
                f"the outcome of {_count(len(doubtful), 'request')} is not known yet, in {_titles(doubtful)}",
                "Run: astica-sync push, which waits for the quarantine and then checks whether the samples are there.",
            )
        )
    pending = {
        "to upload": [entry.class_title for entry in plan.uploads + plan.questioned],
        "to remove": [entry.class_title for entry in plan.removed] + [entry.class_title for entry in plan.held],
    }
    differences = [f"{len(titles):,} {what} in {_titles(titles)}" for what, titles in pending.items() if titles]
    if plan.incomplete:
        differences.append("a part of the store could not be read")
    # Another push does not send what failed, nor reads what cannot be read.
    run = "Run: astica-sync push." if any(pending.values()) else "To see why: astica-sync status."
    if plan.failed_before:
        failed = [entry.class_title for entry in plan.failed_before]
        differences.append(f"{len(failed):,} that failed before in {_titles(failed)}")
    if differences:
        objections.append(
            Objection(
                f"store and service differ: {', '.join(differences)}",
                f"{run} To train on what the service has: astica-sync train --anyway",
                overridable=True,
            )
        )
    return objections


def _titles(titles: Sequence[str]) -> str:
    different = sorted(set(titles))
    listed = ", ".join(repr(title) for title in different[:3])
    return listed if len(different) <= 3 else f"{listed} and {len(different) - 3} more classes"


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"
