"""One removal from start to end.

A worker thread proves that the backup can give the sample back. The driver checks once more that the sample is absent
from the store, marks it as attempted and lets a worker send the request. The answer decides what is recorded.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.model import content_of
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.plan import RemoveSample
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import BackupDamaged, Outcome, OutcomeUnknown, Refused, RemoteError, StoreError
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.db.journal import Journal
from astica_sync.local.scan.recheck_absence import is_still_absent
from astica_sync.remote.rate_limiter import Permit
from astica_sync.sync.apply.history_events import event_of
from astica_sync.sync.apply.pipeline import Pipeline, Vetoed
from astica_sync.sync.apply.result import ApplyResult, failure_of, settles
from astica_sync.sync.apply.time_forecast import Forecast
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import LocalSide, RemoteSide

SUPERFLUOUS = (RemovalReason.EXTRA, RemovalReason.MISPLACED)
"""Reasons for which a copy on the service is removed although the store has the sample."""
NO_ANSWER = "no answer was noted"
"""What the history says of a removal while its request is under way."""


def remove_samples(
    removals: Sequence[RemoveSample],
    pipeline: Pipeline,
    local: LocalSide,
    remote: RemoteSide,
    listener: ProgressListener,
) -> ApplyResult:
    """Removes samples one by one, by their ids; several requests at a time."""
    recorder = _RemovalRecorder(removals, pipeline, local, remote, listener)
    jobs = (RemovalJob(removal, local, remote) for removal in removals)
    recorder.result.error = pipeline.run(jobs, Lane.REMOVAL, recorder)
    return recorder.result


@dataclass(slots=True)
class RemovalJob:
    """The steps of one removal; ``admit`` runs on the driver, the others in worker threads."""

    removal: RemoveSample
    local: LocalSide
    remote: RemoteSide

    @property
    def size(self) -> int:
        return 0

    def prepare(self) -> None:
        prove_backup_copy(self.local, self.removal)

    def admit(self) -> bool:
        return recheck_absence(self.local, self.removal)

    def send(self, permit: Permit) -> None:
        send_removal(self.remote, permit, self.removal)


def prove_backup_copy(local: LocalSide, removal: RemoveSample) -> None:
    """Reads the backup object of the sample again and checks its hash (promise 2). A damaged object is repaired where
    the store still has the file.

    Raises:
        BackupDamaged: the bytes cannot be restored, so the sample stays on the service.
        StoreError: it is unknown whether they can.
    """
    content = content_of(removal.uid)
    reason = local.backup.check(content)
    if reason is not None and removal.why in SUPERFLUOUS:
        local.backup.put(local.layout.root / removal.path, content)
        reason = local.backup.check(content)
    # A process that repaired it may have been killed before the new name was durable; a power cut would then bring
    # back the damaged object.
    if reason is None and not local.backup.secure(content):
        reason = "the backup does not have it"
    if reason is not None:
        raise BackupDamaged(
            f"stays on the service, since its backup copy is damaged: {reason}",
            "run astica-sync backup verify, or put the file back; its bytes repair the copy",
        )


def recheck_absence(local: LocalSide, removal: RemoveSample) -> bool:
    """The second check of absence (promise 3): whether the store still does not have the sample.

    Where a version's data is the target there is none: the manifest proves absence, while the file may well be in the
    store. Its backup copy is proved all the same. Neither is there where the image is converted by another recipe now:
    its file is in the store, and this removal waits until the service has what that recipe made.
    """
    if removal.why in SUPERFLUOUS or removal.why in (RemovalReason.NOT_IN_VERSION, RemovalReason.RECONVERTED):
        return True
    content = content_of(removal.uid)
    paths = {removal.path, *local.index.paths_of(removal.class_title, content)}
    # A path that a mark has from a run in another locale may be in another class: it proves nothing about this one.
    paths = {path for path in paths if path and class_title_of(path.partition("/")[0]) == removal.class_title}
    replaced_by = content_of(removal.replaced_by) if removal.replaced_by else ""
    sample = (removal.class_title, content)
    return is_still_absent(local.layout, local.index, local.fs, sample, tuple(sorted(paths)), replaced_by)


def mark_removal_attempted(journal: Journal, removals: Sequence[RemoveSample], now: float) -> None:
    """Marks the samples as attempted again, so that a copy which appears late is still managed and is removed too."""
    journal.attempt_removal(
        [(removal.uid, removal.class_title, removal.path, removal.sample_id) for removal in removals], now
    )


def note_sent(journal: Journal, action: str, removals: Sequence[RemoveSample], now: float) -> list[int]:
    """Notes the removals in the history before they are sent: the guard counts them also where this run is killed
    before an answer. Returns their numbers for ``Journal.withdraw``."""
    unknown = OutcomeUnknown(NO_ANSWER, "Run: astica-sync push, which shows what the service did.")
    return journal.record_sent([event_of(action, removal, now, journal.run, unknown) for removal in removals])


def settle_removed(journal: Journal, removals: Sequence[RemoveSample], now: float) -> None:
    """The service confirmed these removals, and no other request about the samples is open: what is gone from the
    store is marked as removed, what the store has as agreed again, with the ids that were removed. Where an upload may
    still be carried out late, the mark says so of what is gone, and stays *attempted* of what the store has."""
    gone = [removal for removal in removals if removal.why not in SUPERFLUOUS]
    extras = [removal for removal in removals if removal.why in SUPERFLUOUS and not removal.leaves_doubt]
    journal.confirm_removed([removal.uid for removal in gone if not removal.leaves_doubt], now)
    journal.confirm_removed([removal.uid for removal in gone if removal.leaves_doubt], now, upload_open=True)
    journal.confirm_extras_removed([removal.uid for removal in extras], now)


def send_removal(remote: RemoteSide, permit: Permit, removal: RemoveSample) -> None:
    """The request.

    Raises:
        RemoteError: it failed; ``outcome`` is what that proves.
    """
    remote.service.remove_sample(permit, removal.sample_id)


class _RemovalRecorder:
    """The steps of removals that belong to the driver: what is recorded before they are sent, and after."""

    def __init__(
        self,
        removals: Sequence[RemoveSample],
        pipeline: Pipeline,
        local: LocalSide,
        remote: RemoteSide,
        listener: ProgressListener,
    ) -> None:
        self.result = ApplyResult(left=len(removals))
        self._clock = pipeline.clock
        self._journal = local.journal
        self._index = local.index
        self._listener = listener
        self._forecast = Forecast(remote.service, pipeline.clock)
        self._open = Counter(removal.uid for removal in removals)
        """How many removals of each sample have not been confirmed."""
        self._noted: defaultdict[int, list[int]] = defaultdict(list)
        """The numbers in the history of what was sent and has no outcome yet, by sample id."""

    def before_send(self, jobs: Sequence[RemovalJob]) -> None:
        removals, now = [job.removal for job in jobs], self._clock.now()
        with self._journal.commit():
            mark_removal_attempted(self._journal, removals, now)
            for removal, number in zip(removals, note_sent(self._journal, "remove", removals, now), strict=True):
                self._noted[removal.sample_id].append(number)

    def settle(self, results: Sequence[tuple[RemovalJob, BaseException | None]]) -> None:
        with self._journal.commit():
            for job, error in results:
                self._journal.withdraw(self._noted.pop(job.removal.sample_id, ()))
                if isinstance(error, RemoteError) and error.outcome is Outcome.NOT_DONE:
                    continue
                if isinstance(error, StoreError) and error.stops_run:
                    continue
                self._settle(job.removal, error)

    def _settle(self, removal: RemoveSample, error: BaseException | None) -> None:
        now = self._clock.now()
        self.result.left -= settles(error)
        self._journal.record([event_of("remove", removal, now, self._journal.run, error)])
        if error is None:
            self.result.removed += 1
            self._open[removal.uid] -= 1
            if self._open[removal.uid]:
                self._journal.confirm_copy_removed(removal.uid, removal.sample_id)
            else:
                settle_removed(self._journal, [removal], now)
            seconds = self._forecast.seconds(self.result.left)
            self._listener.removed(removal.class_title, removal.path, 1, seconds)
        elif isinstance(error, OutcomeUnknown):
            self._journal.resend_at([removal.uid], now)
            self.result.doubtful_removals.add(removal.sample_id)
        elif isinstance(error, Refused):
            # An earlier request may have removed it; only an observation shows that.
            self.result.refused.add(removal.sample_id)
        elif isinstance(error, StoreError):
            if isinstance(error, Vetoed):
                # The scan and the second look differ: the next scan reads the file again, whatever its times are.
                self._index.forget([removal.path])
            self.result.failed.append(failure_of(removal, error))
            self._listener.failed(removal.class_title, removal.path, error.text_with_hint)
