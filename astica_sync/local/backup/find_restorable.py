"""What was removed lately and is in no place of the store any more: what ``backup restore --since`` brings back."""

import os
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.model import content_of, is_uid
from astica_sync.errors import BackupDamaged
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.db.journal import Journal

_REMOVALS = frozenset({"remove", "remove-class"})


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An image that is not at its last ``path``, and is in the store at the path ``now``."""

    path: str
    now: str


def removed_since(journal: Journal, backup: Backup, since: float, in_store: Container[str]) -> list[CatalogEntry]:
    """The samples that pushes have removed at ``since`` or later, and those whose files are gone and which no push has
    removed yet; the oldest removal first, each at the path it had last.

    ``in_store`` has the content hashes of all files of the store: what was moved or renamed was not deleted.
    """
    return list(_entries(reversed(_places(journal, since)), backup, in_store))


def found_elsewhere(
    journal: Journal, root: Path, since: float, in_store: Container[str], paths_with: Callable[[str], list[str]]
) -> list[Elsewhere]:
    """What ``removed_since`` leaves out since the store ``root`` has it in another place, by path.

    ``paths_with`` gives the paths of a content hash.
    """
    places = {path: content_of(uid) for _, path, uid in _places(journal, since) if path and is_uid(uid)}
    found: list[Elsewhere] = []
    for path, content in sorted(places.items()):
        # A path in a store's files may be any text.
        if content in in_store and "\0" not in path and not os.path.lexists(root / path):
            found.extend(Elsewhere(path, now) for now in paths_with(content)[:1])
    return found


def _places(journal: Journal, since: float) -> list[tuple[str, str, str]]:
    """Class, path and uid of what the journal knows and of what pushes have removed at ``since`` or later."""
    places = [(mark.class_title, mark.path, mark.uid) for mark in journal.marks()]
    places.extend(
        (event.class_title, event.path, event.uid)
        for event in journal.history(since=since)
        if event.action in _REMOVALS and event.outcome == "done"
    )
    return places


def _entries(
    places: Iterator[tuple[str, str, str]], backup: Backup, in_store: Container[str]
) -> Iterator[CatalogEntry]:
    for class_title, path, uid in places:
        if not path or not is_uid(uid) or content_of(uid) in in_store:
            continue
        content = content_of(uid)
        try:
            file, size = backup.located(content)
        except BackupDamaged:
            # An adopted sample may have no bytes here.
            continue
        yield CatalogEntry(class_title, path, content, file.suffix[1:], size, 0.0)
