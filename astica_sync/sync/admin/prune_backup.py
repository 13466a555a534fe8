"""Making room in the backup: finds the objects that nobody needs, and removes them on a person's word.

The only way in which this program ever loses bytes. Whatever cannot be told keeps them: a store that could not be
read to its end, a service that does not answer, a snapshot that names them, a date that is missing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from astica_sync.core.model import CONTENT_LENGTH, is_uid
from astica_sync.core.retention import Claim, Claims, StoredObject, find_claim
from astica_sync.errors import StoreError
from astica_sync.local.backup.catalog import Entry
from astica_sync.local.db.journal import Event
from astica_sync.local.identity import check_root
from astica_sync.local.scan.scanner import scan_store
from astica_sync.sync.plan.observe import observe
from astica_sync.sync.session import Session


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What may go, with the lines of the catalog about it, and how many objects stay for which claim."""

    objects: tuple[StoredObject, ...]
    entries: tuple[Entry, ...]
    staying: Counter[Claim]

    @property
    def size(self) -> int:
        """Bytes that would come free."""
        return sum(stored.size for stored in self.objects)


def find_pruning(session: Session, before: float) -> PrunePlan:
    """Looks at the store, the service, the journal and every snapshot; for the holder of the writer lock.

    ``before`` is in seconds since the epoch: what was heard of since then stays.

    Raises:
        StoreError: the store or the backup could not be read to its end.
        RemoteError: there is no observation.
    """
    check_root(session.local.layout, session.local.fs)
    scan = scan_store(session.local.layout, session.local.index, clock=session.runtime.clock, files=session.local.fs)
    if scan.unknown or scan.changing:
        raise StoreError(
            "a part of the store could not be read, so nobody can tell what is not needed any more",
            "astica-sync pull-status names it under problems; mend that first.",
        )
    claims = Claims(
        store={sample.content for sample in session.local.index.local_samples(session.remote.model_id)},
        marks={mark.content for mark in session.local.journal.marks()},
        service={
            sample.uid[:CONTENT_LENGTH]
            for sample in observe(session.local, session.remote, session.listener)
            if is_uid(sample.uid)
        },
        snapshots=session.local.backup.pinned(),
        before=before,
    )
    chosen: dict[str, StoredObject] = {}
    staying: Counter[Claim] = Counter()
    for stored in _objects(session):
        claim = find_claim(stored, claims)
        if claim is None:
            chosen[stored.content] = stored
        else:
            staying[claim] += 1
    for event in session.local.journal.history(since=before):
        if chosen.pop(event.uid[:CONTENT_LENGTH], None) is not None:
            staying[Claim.AGE] += 1
    entries = {entry: None for entry in session.local.backup.samples() if entry.content in chosen}
    return PrunePlan(tuple(chosen.values()), tuple(entries), staying)


def prune(session: Session, pruning: PrunePlan) -> int:
    """Removes what was found; returns the bytes that came free.

    Raises:
        StoreError: the backup cannot be written; what is gone is gone from catalog and objects alike.
    """
    freed = session.local.backup.prune({stored.content for stored in pruning.objects})
    now, run = session.runtime.clock.now(), session.local.journal.run
    session.local.journal.record(
        Event(now, run, "prune", entry.class_title, entry.content, entry.path, None, "done", "")
        for entry in pruning.entries
    )
    return freed


def _objects(session: Session) -> Iterator[StoredObject]:
    """Every object with its latest date: that of its lines in the catalog, or of its file where no line names it."""
    dates: dict[bytes, float] = {}
    for entry in session.local.backup.samples():
        key = bytes.fromhex(entry.content)
        dates[key] = max(entry.added_at, dates.get(key, entry.added_at))
    for content in session.local.backup.objects():
        at = dates.get(bytes.fromhex(content))
        yield StoredObject(
            content, session.local.backup.size_of(content), session.local.backup.time_of(content) if at is None else at
        )
