"""Lines of the catalog that are missing: which file an object was, according to everything else that knows.

After a crash an object may have no line, and a lost or damaged catalog leaves many without. Snapshots, the journal and
the store itself name most of them.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator

from astica_sync.core.model import CONTENT_LENGTH, LocalSample, content_of, is_uid
from astica_sync.errors import BackupDamaged
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.manifests import Manifests
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem


def add_missing_names(
    backup: Backup,
    files: FileSystem,
    journal: Journal,
    in_store: Iterable[LocalSample],
    contents: Collection[str],
    at: float,
) -> None:
    """Adds lines to the catalog for these objects where their class and path are known, the latest place last. For the
    holder of the writer lock; ``at`` is the time of the lines, in seconds since the epoch.

    Raises:
        StorageFull, StoreError: the catalog cannot be written.
    """
    places = _places(backup, files, journal, in_store)
    backup.add_samples(list(dict.fromkeys(place for place in places if place[2] in contents)), at)


def never_used(backup: Backup, journal: Journal, contents: Collection[str]) -> set[str]:
    """Those of the objects without a name that were written for an upload that a crash prevented: the journal was
    there before them, and does not know their images."""
    known, oldest = {mark.content for mark in journal.marks()}, float("inf")
    for event in journal.history():
        known.add(event.uid[:CONTENT_LENGTH])
        oldest = min(oldest, event.at)
    return {content for content in contents if content not in known and backup.time_of(content) > oldest}


def _places(
    backup: Backup, files: FileSystem, journal: Journal, in_store: Iterable[LocalSample]
) -> Iterator[tuple[str, str, str]]:
    manifests = Manifests(backup, files)
    for snapshot in manifests.ids():
        with contextlib.suppress(BackupDamaged):
            for entry in manifests.entries(snapshot):
                yield entry.class_title, entry.path, entry.content
    for event in reversed([*journal.history()]):
        if event.path and is_uid(event.uid):
            yield event.class_title, event.path, content_of(event.uid)
    for mark in journal.marks():
        if mark.path and is_uid(mark.uid):
            yield mark.class_title, mark.path, mark.content
    for sample in in_store:
        for path in sample.paths:
            yield sample.class_title, path, sample.content
