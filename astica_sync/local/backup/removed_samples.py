"""What was removed lately and is in no place of the store any more: what ``backup restore --since`` brings back."""

from collections.abc import Container, Iterator

from astica_sync.core.model import content_of, is_uid
from astica_sync.errors import BackupDamaged
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import Entry
from astica_sync.local.db.journal import Journal

_REMOVALS = frozenset({"remove", "remove-class"})


def removed_since(journal: Journal, backup: Backup, since: float, in_store: Container[str]) -> list[Entry]:
    """The samples that pushes have removed at ``since`` or later, and those whose files are gone and which no push has
    removed yet; the oldest removal first, each at the path it had last.

    ``in_store`` has the content hashes of all files of the store: what was moved or renamed was not deleted.
    """
    places = [(mark.class_title, mark.path, mark.uid) for mark in journal.marks()]
    places.extend(
        (event.class_title, event.path, event.uid)
        for event in journal.history(since=since)
        if event.action in _REMOVALS and event.outcome == "done"
    )
    return list(_entries(reversed(places), backup, in_store))


def _entries(places: Iterator[tuple[str, str, str]], backup: Backup, in_store: Container[str]) -> Iterator[Entry]:
    for class_title, path, uid in places:
        if not path or not is_uid(uid) or content_of(uid) in in_store:
            continue
        content = content_of(uid)
        try:
            file, size = backup.located(content)
        except BackupDamaged:
            # An adopted sample may have no bytes here.
            continue
        yield Entry(class_title, path, content, file.suffix[1:], size, 0.0)
