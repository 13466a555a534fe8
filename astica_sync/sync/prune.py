"""Making room in the backup: finds the objects that nobody needs, and removes them on a person's word.

The only way in which this program ever loses bytes. Whatever cannot be told keeps them: a store that could not be
read to its end, a service that does not answer, a snapshot that names them, a date that is missing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from astica_sync.core.prune import Claim, Claims, Kept, find_claim
from astica_sync.core.sample import CONTENT_LENGTH, is_uid
from astica_sync.errors import StoreError
from astica_sync.store.catalog import Entry
from astica_sync.store.journal import Event
from astica_sync.store.layout import check_root
from astica_sync.store.scan import scan_store
from astica_sync.sync.observing import observe
from astica_sync.sync.parts import Parts


@dataclass(frozen=True, slots=True)
class Pruning:
    """What may go, with the lines of the catalog about it, and how many objects stay for which claim."""

    objects: tuple[Kept, ...]
    entries: tuple[Entry, ...]
    staying: Counter[Claim]

    @property
    def size(self) -> int:
        """Bytes that would come free."""
        return sum(kept.size for kept in self.objects)


def find_pruning(parts: Parts, before: float) -> Pruning:
    """Looks at the store, the service, the journal and every snapshot; for the holder of the writer lock.

    ``before`` is in seconds since the epoch: what was heard of since then stays.

    Raises:
        StoreError: the store or the backup could not be read to its end.
        RemoteError: there is no observation.
    """
    check_root(parts.layout, parts.disk)
    scan = scan_store(parts.layout, parts.index, clock=parts.clock, disk=parts.disk)
    if scan.unknown or scan.changing:
        raise StoreError(
            "a part of the store could not be read, so nobody can tell what is not needed any more",
            "astica-sync pull-status names it under problems; mend that first.",
        )
    claims = Claims(
        store={sample.content for sample in parts.index.local_samples(parts.model_id)},
        marks={mark.content for mark in parts.journal.marks()},
        service={sample.uid[:CONTENT_LENGTH] for sample in observe(parts) if is_uid(sample.uid)},
        snapshots=parts.backup.pinned(),
        before=before,
    )
    chosen: dict[str, Kept] = {}
    staying: Counter[Claim] = Counter()
    for kept in _objects(parts):
        claim = find_claim(kept, claims)
        if claim is None:
            chosen[kept.content] = kept
        else:
            staying[claim] += 1
    for event in parts.journal.history(since=before):
        if chosen.pop(event.uid[:CONTENT_LENGTH], None) is not None:
            staying[Claim.AGE] += 1
    entries = {entry: None for entry in parts.backup.samples() if entry.content in chosen}
    return Pruning(tuple(chosen.values()), tuple(entries), staying)


def prune(parts: Parts, pruning: Pruning) -> int:
    """Removes what was found; returns the bytes that came free.

    Raises:
        StoreError: the backup cannot be written; what is gone is gone from catalog and objects alike.
    """
    freed = parts.backup.prune({kept.content for kept in pruning.objects})
    now, run = parts.clock.now(), parts.journal.run
    parts.journal.record(
        Event(now, run, "prune", entry.class_title, entry.content, entry.path, None, "done", "")
        for entry in pruning.entries
    )
    return freed


def _objects(parts: Parts) -> Iterator[Kept]:
    """Every object with its latest date: that of its lines in the catalog, or of its file where no line names it."""
    dates: dict[bytes, float] = {}
    for entry in parts.backup.samples():
        key = bytes.fromhex(entry.content)
        dates[key] = max(entry.added_at, dates.get(key, entry.added_at))
    for content in parts.backup.objects():
        at = dates.get(bytes.fromhex(content))
        yield Kept(content, parts.backup.size_of(content), parts.backup.time_of(content) if at is None else at)
