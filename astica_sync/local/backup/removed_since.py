"""What was removed lately and is in no place of the store any more: what ``backup restore --since`` brings back."""

import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from astica_sync.core.model import MarkState, content_of, is_uid
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.errors import BackupDamaged
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.db.journal import Event, Journal

_REMOVALS = frozenset({"remove", "remove-class"})
_SENT = frozenset({"done", "unknown"})
"""Outcomes of a removal that may have been carried out: the file was gone in either case."""
_SUPERFLUOUS = (RemovalReason.EXTRA, RemovalReason.MISPLACED, RemovalReason.RECONVERTED)
"""Reasons for which a copy on the service was removed although the store had the sample."""
_LEFT = (RemovalReason.MOVED, RemovalReason.DUPLICATE)
"""Reasons of removals from a class while another class of the store had the image."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An image that is not at its last ``path``, and is in the store at the path ``now``."""

    path: str
    now: str


@dataclass(frozen=True, slots=True)
class EarlierPlace:
    """A ``path`` that an image had left for another class before it was deleted at the path ``last``."""

    path: str
    last: str
    content: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What was deleted: ``entries`` are the last places, the oldest removal first; ``earlier`` the places that these
    images had left before, by path."""

    entries: tuple[CatalogEntry, ...]
    earlier: tuple[EarlierPlace, ...]


class _Place(NamedTuple):
    class_title: str
    path: str
    uid: str

    @property
    def content(self) -> str:
        return content_of(self.uid)


def removed_since(
    journal: Journal, backup: Backup, since: float, in_store: Container[str], seen: Container[str] = frozenset()
) -> Removed:
    """The samples that pushes have removed at ``since`` or later, and those whose files are gone and which no push has
    removed yet; each at the path it had last.

    ``in_store`` has the content hashes of all files of the store: what was moved or renamed was not deleted; ``seen``
    the uids of the samples that the store had before, as far as that is known. An image
    that was moved to another class and deleted there has its last class alone: its earlier ones were wrong labels.
    """
    places = [place for place in reversed(_places(journal, since)) if place.content not in in_store]
    left = _left_places(journal, places)
    # A move whose removal was not confirmed yet has no event.
    seen_contents = {place.content for place in places if place.uid in seen}
    left |= {place.uid for place in places if place.content in seen_contents and place.uid not in seen}
    entries = [entry for place in places if place.uid not in left and (entry := _entry(backup, place)) is not None]
    without = {place.content for place in places if place.uid in left}.difference(entry.content for entry in entries)
    # The last place is forgotten where its sample was removed on the service's page.
    entries += [listed[-1] for listed in backup.entries_of(without).values()] if without else []
    last = {entry.content: entry.path for entry in entries}
    earlier = [
        EarlierPlace(place.path, last[place.content], place.content)
        for place in places
        if place.uid in left and last.get(place.content, place.path) != place.path
    ]
    return Removed(tuple(entries), tuple(sorted(earlier, key=lambda one: one.path)))


def found_elsewhere(
    journal: Journal, root: Path, since: float, in_store: Container[str], paths_with: Callable[[str], list[str]]
) -> list[Elsewhere]:
    """What ``removed_since`` leaves out since the store ``root`` has it in another place, by path.

    ``paths_with`` gives the paths of a content hash.
    """
    places = {place.path: place.content for place in _places(journal, since)}
    found: list[Elsewhere] = []
    for path, content in sorted(places.items()):
        # A path in a store's files may be any text.
        if content in in_store and "\0" not in path and not os.path.lexists(root / path):
            found.extend(Elsewhere(path, now) for now in paths_with(content)[:1])
    return found


def _places(journal: Journal, since: float) -> list[_Place]:
    """The last place of each sample that the journal knows or that pushes have removed at ``since`` or later; what the
    journal knows first, then the newest removal first."""
    # What a push has removed has an event, which tells when.
    places = [
        _Place(mark.class_title, mark.path, mark.uid) for mark in journal.marks() if mark.state is not MarkState.REMOVED
    ]
    places.extend(
        _Place(event.class_title, event.path, event.uid) for event in journal.history(since=since) if _is_removal(event)
    )
    last: dict[str, _Place] = {}
    for place in places:
        if place.path and is_uid(place.uid):
            last.setdefault(place.uid, place)
    # An image that two recipes have converted has two uids in its class.
    first: dict[tuple[str, str, str], _Place] = {}
    for place in last.values():
        first.setdefault((place.class_title, place.path, place.content), place)
    return list(first.values())


def _left_places(journal: Journal, places: list[_Place]) -> set[str]:
    """The uids of those that were removed from their class while another class of the store had the image."""
    left: set[str] = set()
    for event in journal.events_of([place.uid for place in places]):
        if _is_removal(event) and event.reason.startswith(_LEFT):
            left.add(event.uid)
        elif _is_removal(event) or event.action in ("upload", "adopt"):
            left.discard(event.uid)
    return left


def _is_removal(event: Event) -> bool:
    return event.action in _REMOVALS and event.outcome in _SENT and not event.reason.startswith(_SUPERFLUOUS)


def _entry(backup: Backup, place: _Place) -> CatalogEntry | None:
    try:
        file, size = backup.located(place.content)
    except BackupDamaged:
        # An adopted sample may have no bytes here.
        return None
    return CatalogEntry(place.class_title, place.path, place.content, file.suffix[1:], size, 0.0)
