"""The removal of a whole class from start to end: one request in place of one for each sample.

Each sample's backup copy is proved. With the permit for the request in hand, a view shows whether the class has
exactly the samples that are to be removed; the absence of each is checked once more. Then all are marked as attempted
and the request is sent. Where anything speaks against it, the samples are removed one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from astica_sync.clock import Clock
from astica_sync.core.model import Observation
from astica_sync.core.plan.plan import CLASS_REMOVE_COST, RemoveClass, RemoveSample
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import AsticaSyncError, CountsDiffer, OutcomeUnknown, Refused, RemoteError, StoreError
from astica_sync.local.db.journal import Journal
from astica_sync.remote.rate_limiter import Permit
from astica_sync.sync.apply.history_events import event_of
from astica_sync.sync.apply.pipeline import Pipeline
from astica_sync.sync.apply.removal import (
    mark_removal_attempted,
    note_sent,
    prove_backup_copy,
    recheck_absence,
    remove_samples,
    settle_removed,
)
from astica_sync.sync.apply.result import ApplyResult
from astica_sync.sync.observe import ListsBehind, observe_before_removal
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import LocalSide, RemoteSide, VersionAsStore


def remove_classes(
    removals: Sequence[RemoveClass],
    pipeline: Pipeline,
    local: LocalSide,
    remote: RemoteSide,
    listener: ProgressListener,
    target: VersionAsStore | None,
) -> ApplyResult:
    """Removes the classes one after the other, until one of them ends the run."""
    result = ApplyResult()
    observation: Observation | None = None
    for removal in removals:
        if result.error is not None:
            result.left += len(removal.samples)
            continue
        remover = ClassRemover(removal, pipeline.clock, local, remote, listener, target)
        one_by_one = remover.remove(observation)
        observation = observation if remover.observation is None else remover.observation
        result.include(remover.result)
        if one_by_one:
            result.include(remove_samples(one_by_one, pipeline, local, remote, listener))
    return result


@dataclass(slots=True)
class ClassRemover:
    """The removal of one class. ``observation`` is what its view showed; None where it requested none."""

    removal: RemoveClass
    clock: Clock
    local: LocalSide
    remote: RemoteSide
    listener: ProgressListener
    target: VersionAsStore | None
    result: ApplyResult = field(default_factory=ApplyResult)
    observation: Observation | None = None

    def remove(self, earlier: Observation | None) -> list[RemoveSample]:
        """Removes the class by one request where that is safe; returns the samples to remove one by one instead.

        ``earlier`` is a view that an earlier removal requested after the plan was made: what it did not show need
        not be removed.
        """
        samples = list(self.removal.samples)
        if earlier is not None:
            samples = still_shown(samples, shown_in_class(self.removal, earlier))
            self.result.left += len(self.removal.samples) - len(samples)
        # The permit is held while the view is requested, so the limit must allow both at the same time.
        if not samples or self.remote.service.limit < CLASS_REMOVE_COST or not self._have_backup_copies(samples):
            return samples
        lists = ListsBehind(self.local, self.remote, self.listener)
        try:
            while True:
                permit = self.remote.service.wait_for_permit(Lane.REMOVAL)
                try:
                    self.observation = observe_before_removal(self.local, self.remote, self.target)
                    break
                except CountsDiffer as error:
                    self.remote.service.release(permit)
                    lists.wait(error)
                except AsticaSyncError:
                    self.remote.service.release(permit)
                    raise
        except AsticaSyncError as error:
            return self._end(error, samples)
        shown = shown_in_class(self.removal, self.observation)
        samples = still_shown(samples, shown)
        if not samples or not are_whole_class(samples, shown) or not self._are_absent(samples):
            self.remote.service.release(permit)
            return samples
        journal, now = self.local.journal, self.clock.now()
        with journal.commit():
            mark_removal_attempted(journal, samples, now)
            noted = note_sent(journal, "remove-class", samples, now)
        failure = send_class_removal(self.remote, permit, self.removal)
        with journal.commit():
            journal.withdraw(noted)
            self._settle(samples, failure)
        return []

    def _have_backup_copies(self, samples: Sequence[RemoveSample]) -> bool:
        try:
            for sample in samples:
                prove_backup_copy(self.local, sample)
        except StoreError:
            return False
        return True

    def _are_absent(self, samples: Sequence[RemoveSample]) -> bool:
        return all(recheck_absence(self.local, sample) for sample in samples)

    def _end(self, error: AsticaSyncError, samples: Sequence[RemoveSample]) -> list[RemoveSample]:
        self.result.error = error
        self.result.left += len(samples)
        return []

    def _settle(self, samples: Sequence[RemoveSample], error: RemoteError | None) -> None:
        record_class_removal(self.local.journal, self.removal, samples, self.clock.now(), error)
        ids = {sample.sample_id for sample in samples}
        if error is None:
            self.result.removed += len(samples)
            self.listener.removed(self.removal.class_title, "", len(samples), 0.0)
        elif isinstance(error, Refused):
            self.result.refused |= ids
        elif isinstance(error, OutcomeUnknown):
            self.result.doubtful_removals |= ids
        else:
            self.result.error = error


def shown_in_class(removal: RemoveClass, observation: Observation) -> set[tuple[int, str]]:
    """The id and uid of each sample that the view shows in the class."""
    return {(sample.sample_id, sample.uid) for sample in observation.samples if sample.class_id == removal.class_id}


def still_shown(samples: Sequence[RemoveSample], shown: set[tuple[int, str]]) -> list[RemoveSample]:
    """Those that are still there, by id and uid: the service may have given the id of a sample to another one since."""
    return [sample for sample in samples if (sample.sample_id, sample.uid) in shown]


def are_whole_class(samples: Sequence[RemoveSample], shown: set[tuple[int, str]]) -> bool:
    """Whether the class shows nothing but these samples."""
    return len(samples) == len(shown)


def send_class_removal(remote: RemoteSide, permit: Permit, removal: RemoveClass) -> RemoteError | None:
    """The request; returns the error with which it failed."""
    try:
        remote.service.remove_class(permit, removal.class_id)
    except RemoteError as error:
        return error
    return None


def record_class_removal(
    journal: Journal, removal: RemoveClass, samples: Sequence[RemoveSample], now: float, error: RemoteError | None
) -> None:
    """Records the request for each sample; where its outcome is unknown, the quarantine counts from now."""
    with journal.commit():
        journal.record(
            event_of("remove-class", sample, now, journal.run, error, removal.class_title) for sample in samples
        )
        if isinstance(error, OutcomeUnknown):
            journal.resend_at([sample.uid for sample in samples], now)
        elif error is None:
            settle_removed(journal, samples, now)
