"""What needs no request: marking samples that the service has, forgetting those that exist nowhere any more, and giving
up those of other stores."""

from collections.abc import Sequence

from astica_sync.clock import Clock
from astica_sync.core.model import content_of
from astica_sync.core.plan.plan import Adopt, GivenUp
from astica_sync.errors import StoreError
from astica_sync.local.db.journal import Event, Journal
from astica_sync.sync.apply.history_events import event_of
from astica_sync.sync.apply.result import ApplyResult, failure_of
from astica_sync.sync.session import LocalSide

ADOPT_BATCH = 500
NOT_OWNED_NOW = "this store does not own its class any more"


def adopt_samples(local: LocalSide, clock: Clock, adopts: Sequence[Adopt], *, from_backup: bool) -> ApplyResult:
    """Marks samples that the observation shows as agreed, after their images are in the backup: what is managed
    must be restorable.

    Args:
        from_backup: the images are those of a version: the file of that name may be another image by now.

    Raises:
        StoreError: the backup or the journal cannot be written.
    """
    result = ApplyResult()
    for start in range(0, len(adopts), ADOPT_BATCH):
        backed_up = []
        for adopt in adopts[start : start + ADOPT_BATCH]:
            try:
                back_up_adopted(local, adopt, from_backup=from_backup)
            except StoreError as error:
                if error.stops_run:
                    raise
                result.failed.append(failure_of(adopt, error))
            else:
                backed_up.append(adopt)
        add_adopted_to_catalog(local, backed_up, clock.now())
        mark_adopted(local.journal, backed_up, clock.now())
    return result


def back_up_adopted(local: LocalSide, adopt: Adopt, *, from_backup: bool) -> None:
    """Copies the file into the backup. An object that is there already is compared with it: in a hidden folder that
    came with a data set it may be another image of the same hash, and would later be the only copy."""
    content = content_of(adopt.uid)
    if not (from_backup and local.backup.secure(content)):
        local.backup.put(local.layout.root / adopt.path, content)


def add_adopted_to_catalog(local: LocalSide, adopts: Sequence[Adopt], now: float) -> None:
    local.backup.add_samples([(adopt.class_title, adopt.path, content_of(adopt.uid)) for adopt in adopts], now)


def mark_adopted(journal: Journal, adopts: Sequence[Adopt], now: float) -> None:
    """Marks the samples as agreed; the time of the last sending stays as it is. One that was refused, as a service may
    do with a uid that it has, is on the service all the same."""
    with journal.commit():
        journal.agree([(adopt.uid, adopt.class_title, adopt.path) for adopt in adopts])
        journal.clear_bad([adopt.uid for adopt in adopts])
        journal.record([event_of("adopt", adopt, now, journal.run) for adopt in adopts])


def forget_marks(journal: Journal, uids: Sequence[str]) -> None:
    """Removes the marks of samples that are neither in the store nor on the service."""
    journal.forget(uids)


def give_up_samples(journal: Journal, clock: Clock, given_up: Sequence[GivenUp]) -> None:
    """Removes the marks of samples that stay on the service, and notes that in the history."""
    for start in range(0, len(given_up), ADOPT_BATCH):
        batch = given_up[start : start + ADOPT_BATCH]
        now = clock.now()
        with journal.commit():
            journal.forget([one.uid for one in batch])
            journal.record(
                Event(now, journal.run, "give-up", one.class_title, one.uid, one.path, sample_id, "done", NOT_OWNED_NOW)
                for one in batch
                for sample_id in one.sample_ids
            )
