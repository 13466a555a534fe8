"""Versions of a model as the service has shown them, and how a user names one."""

from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.model import ModelInfo


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
