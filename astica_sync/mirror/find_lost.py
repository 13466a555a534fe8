"""Which objects were uploaded, by the catalog and the journal, and are not in the backup."""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from astica_sync.core.mirror.plan_copies import content_of
from astica_sync.errors import StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout

MISSING = "missing in the backup; to repair it: astica-sync backup verify"
OBJECTS = "backup/objects/"


@dataclass(slots=True)
class LostObjects:
    """``in_mirror`` are the names of those that the mirror has, ``nowhere`` the paths in the store of the others, by
    content hash."""

    in_mirror: list[str] = field(default_factory=list)
    nowhere: dict[str, str] = field(default_factory=dict)


def find_lost(layout: Layout, here: Collection[str], there: Collection[str], files: FileSystem) -> LostObjects:
    """``here`` and ``there`` are the names of the files of the backup and of the mirror.

    Raises:
        StoreError: the catalog exists and cannot be read.
    """
    known = {content_of(name) for name in here if name.startswith(OBJECTS)}
    missing: dict[str, str] = {}
    backup = Backup(layout.backup, files)
    for content, path in _uploaded(layout, backup):
        if content not in known:
            missing[content] = path or missing.get(content, "")
    # A push may have added some since the backup was listed.
    missing = {content: path for content, path in missing.items() if not backup.has(content)}
    lost = LostObjects()
    if missing:
        copies = {content_of(name): name for name in there if name.startswith(OBJECTS)}
        for content, path in missing.items():
            if content in copies:
                lost.in_mirror.append(copies[content])
            else:
                lost.nowhere[content] = path or content
    return lost


def _uploaded(layout: Layout, backup: Backup) -> Iterator[tuple[str, str]]:
    """The content hash and the path of each image that was sent, some of them more than once."""
    for entry in backup.samples():
        yield entry.content, entry.path
    if layout.journal_db.exists():
        # The catalog has what the journal has, unless it is damaged itself; and other commands report the journal.
        with contextlib.suppress(StoreError), contextlib.closing(Journal(layout.journal_db, "mirror")) as journal:
            for mark in journal.marks():
                yield mark.content, mark.path
