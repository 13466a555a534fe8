"""Makes room in the backup: finds the objects that nothing uses, and removes them when the user has agreed.

This is the only part of the program that deletes bytes for good. In case of doubt an object stays: where the store
could not be read completely, the service does not answer, a snapshot names it or cannot be read, its date is
missing, or it may be a sample of a model that the store had before.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass

from astica_sync.clock import Clock
from astica_sync.core.model import CONTENT_LENGTH, Mark, MarkState, Observation, content_in_class, is_uid
from astica_sync.core.plan.decision_table import RemovalReason, is_removal_shown
from astica_sync.core.retention import Claim, Claims, SentElsewhere, StoredObject, find_claim
from astica_sync.core.versions.pending_training import PENDING
from astica_sync.errors import Outcome, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.backup.damaged_files import refuse_damaged_files
from astica_sync.local.db.journal import Event, Journal
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.local.store_sentinel import check_root
from astica_sync.sync.observe import observe
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import LocalSide, RemoteSide

_OF_OTHER_COPIES = (str(RemovalReason.EXTRA), str(RemovalReason.MISPLACED), "by hand")
"""Removals for these reasons leave the sample of the store where it is."""


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """The objects that may be removed, the lines of the catalog about them, and how many others stay for which
    reason. ``prepared_size`` is that of what was sent in place of these images alone, in bytes."""

    objects: tuple[StoredObject, ...]
    entries: tuple[CatalogEntry, ...]
    staying: Counter[Claim]
    prepared_size: int

    @property
    def size(self) -> int:
        """The bytes that would become free."""
        return sum(stored.size for stored in self.objects) + self.prepared_size


def plan_pruning(
    local: LocalSide, remote: RemoteSide, clock: Clock, listener: ProgressListener, before: float
) -> PrunePlan:
    """Finds the objects that neither the store, the service, the journal nor a snapshot uses; for the holder of the
    writer lock.

    Args:
        before: seconds since the epoch; what was last used since then stays.

    Raises:
        StoreError: the store or the backup could not be read completely.
        RemoteError: there is no observation.
    """
    check_root(local.layout, local.fs)
    pending = local.journal.get_meta(PENDING)
    refuse_damaged_files(local.backup, local.fs, [pending["snapshot"]] if pending else [])
    scan = scan_store(
        local.layout,
        local.index,
        clock=clock,
        files=local.fs,
        options=ScanOptions(recipe=local.preparer.recipe),
    )
    if scan.unknown or scan.changing:
        raise StoreError(
            "a part of the store could not be read, so it is unknown which images are still needed",
            "astica-sync pull-status lists it under problems; fix that first.",
        )
    observation = observe(local, remote, listener)
    claims = Claims(
        store={sample.content for sample in local.index.local_samples(remote.model_id)},
        marks={mark.content for mark in _open_marks(local, observation)},
        service={sample.uid[:CONTENT_LENGTH] for sample in observation if is_uid(sample.uid)},
        snapshots=local.backup.referenced_contents(),
        before=before,
    )
    prunable: dict[str, StoredObject] = {}
    staying: Counter[Claim] = Counter()
    for stored in _stored_objects(local.backup):
        claim = find_claim(stored, claims)
        if claim is None:
            prunable[stored.content] = stored
        else:
            staying[claim] += 1
    for event in local.journal.history(since=before):
        if prunable.pop(event.uid[:CONTENT_LENGTH], None) is not None:
            staying[Claim.AGE] += 1
    for content in _sent_to_other_models(local.journal, remote.model_id, prunable, local.known_recipes()):
        if prunable.pop(content, None) is not None:
            staying[Claim.OTHER_MODEL] += 1
    entries = {entry: None for entry in local.backup.samples() if entry.content in prunable}
    prepared_size = local.backup.prepared.droppable_size(prunable.keys())
    return PrunePlan(tuple(prunable.values()), tuple(entries), staying, prepared_size)


def prune(local: LocalSide, clock: Clock, plan: PrunePlan) -> int:
    """Removes the objects of the plan; returns the bytes that became free.

    Raises:
        StoreError: the backup cannot be written; what was removed until then is removed from the catalog as well.
    """
    freed = local.backup.prune({stored.content for stored in plan.objects})
    now, run = clock.now(), local.journal.run
    local.journal.record(
        Event(now, run, "prune", entry.class_title, entry.content, entry.path, None, "done", "")
        for entry in plan.entries
    )
    return freed


def _open_marks(local: LocalSide, observation: Observation) -> Iterator[Mark]:
    """The marks of samples that may be on the service: all but those whose removal the observation shows."""
    shown = {sample.sample_id for sample in observation}
    for mark in local.journal.marks():
        removal_shown = is_removal_shown(observation.asked_at, mark.sent_at or 0.0, mark.removed_ids, shown)
        if mark.state is not MarkState.REMOVED or mark.upload_open or not removal_shown:
            yield mark


def _sent_to_other_models(
    journal: Journal, model_id: int, wanted: Container[str], recipes: Collection[str]
) -> set[str]:
    """Those of the content hashes ``wanted`` that may be on a model that the store had before; in case of doubt they
    are. Reads the whole history."""
    found = SentElsewhere()
    for event in journal.history():
        if not is_uid(event.uid) or event.uid[:CONTENT_LENGTH] not in wanted:
            continue
        if content_in_class(event.uid, model_id, event.class_title, recipes):
            continue
        is_done = event.outcome == "done"
        if event.action in ("remove", "remove-class"):
            last = not event.reason.startswith(_OF_OTHER_COPIES)
            found.note_removal(event.uid, event.sample_id, is_last_copy=last, is_done=is_done)
        elif event.action in ("upload", "adopt") and (is_done or event.outcome == str(Outcome.UNKNOWN)):
            found.note_sample(event.uid)
    return found.contents


def _stored_objects(backup: Backup) -> Iterator[StoredObject]:
    """Every object with its latest date: that of its lines in the catalog, or of its file where no line names it."""
    dates: dict[bytes, float] = {}
    for entry in backup.samples():
        key = bytes.fromhex(entry.content)
        dates[key] = max(entry.added_at, dates.get(key, entry.added_at))
    for content in backup.objects():
        at = dates.get(bytes.fromhex(content))
        yield StoredObject(content, backup.size_of(content), backup.time_of(content) if at is None else at)
