"""Carries a plan out. The only file that changes the remote's samples.

Order: adopt and forget (no requests), then uploads, then removals, then whole classes. The journal is written before
every request and after every answer.
"""

from collections.abc import Sequence

from astica_sync.core.model import Mark, Observation, content_of
from astica_sync.core.plan.ordering import uploads_before, uploads_by_content
from astica_sync.core.plan.plan import CLASS_REMOVE_COST, Plan, RemoveClass, RemoveSample, Upload
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import (
    AsticaSyncError,
    BadKey,
    ImageRejected,
    Interrupted,
    NoSuchModel,
    Outcome,
    OutcomeUnknown,
    Refused,
    RemoteError,
    SourceChanged,
    StoreError,
    kind_of,
)
from astica_sync.local.db.journal import BadSample, Event
from astica_sync.sync.apply.circuit_breaker import CircuitBreaker
from astica_sync.sync.apply.pipeline import Pipeline
from astica_sync.sync.apply.requests import RemovalJob, UploadJob, keep, may_go, prove_kept
from astica_sync.sync.apply.result import ApplyResult, FailedSample
from astica_sync.sync.plan.observe import observe_before_removal
from astica_sync.sync.session import Session

ADOPT_AT_ONCE = 500
FORECAST_SECONDS = 1.0
"""How old a forecast of the budget may be that a person is shown: each new one is a transaction."""


def apply_plan(session: Session, plan: Plan, *, removals: bool, breaker: CircuitBreaker | None = None) -> ApplyResult:
    """Works the plan off; ``removals`` is False when a guard refused them. Plans that are pieces of one share a
    ``breaker``.

    A sample's failure is in the result; what ends the run early is in ``error``, after all that was under way has
    been settled or parked.

    Raises:
        DatabaseError: the journal cannot be written; nothing was sent for the samples it was about.
    """
    applied = ApplyResult()
    breaker = breaker or CircuitBreaker()
    _adopt(session, plan, applied)
    session.local.journal.forget(plan.forgets)
    uploads = _Uploads(session, plan, applied)
    flow = Pipeline(
        session.runtime.workers, session.remote.service, session.runtime.clock, breaker, session.runtime.stopping
    )
    flow.run((UploadJob(session, upload) for upload in plan.uploads), Lane.BACKLOG, uploads)
    uploads.finish(flow.error)
    applied.error = flow.error
    if removals and applied.error is None:
        _remove(session, plan, applied, breaker)
    return applied


def _adopt(session: Session, plan: Plan, applied: ApplyResult) -> None:
    """Marks what the service was seen to have. Its bytes go into the backup too: what is managed can be put back."""
    for start in range(0, len(plan.adopts), ADOPT_AT_ONCE):
        kept = []
        for adopt in plan.adopts[start : start + ADOPT_AT_ONCE]:
            try:
                if not session.local.backup.secure(content_of(adopt.uid)):
                    keep(session, adopt.path, content_of(adopt.uid))
            except StoreError as error:
                if error.stops_run:
                    raise
                applied.failed.append(FailedSample(adopt.class_title, adopt.path, error.text_with_hint, kind_of(error)))
                continue
            kept.append(adopt)
        session.local.backup.add_samples(
            [(adopt.class_title, adopt.path, content_of(adopt.uid)) for adopt in kept], session.runtime.clock.now()
        )
        with session.local.journal.commit():
            session.local.journal.agree([(adopt.uid, adopt.class_title, adopt.path) for adopt in kept])
            session.local.journal.record(
                [_event(session, "adopt", adopt.class_title, adopt.uid, adopt.path, adopt.sample_id) for adopt in kept]
            )


def _bad(session: Session, upload: Upload, reason: str) -> BadSample:
    return BadSample(upload.uid, upload.class_title, upload.path, reason, session.runtime.clock.now())


def _event(
    session: Session,
    action: str,
    class_title: str,
    uid: str,
    path: str,
    sample_id: int | None = None,
    error: BaseException | None = None,
) -> Event:
    outcome = "done"
    if isinstance(error, RemoteError):
        outcome = str(error.outcome)
    elif error is not None:
        outcome = str(Outcome.NOT_DONE)
    reason = str(error) if error else ""
    return Event(
        session.runtime.clock.now(),
        session.local.journal.run,
        action,
        class_title,
        uid,
        path,
        sample_id,
        outcome,
        reason,
    )


class _Forecast:
    """The seconds that remain, asked of the budget once in a while and counted down in between."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked_at = float("-inf")
        self._seconds = 0.0

    def seconds(self, left: int) -> float:
        now = self._session.runtime.clock.now()
        if now - self._asked_at >= FORECAST_SECONDS:
            self._asked_at, self._seconds = now, self._session.remote.service.forecast(left)
        return max(0.0, self._seconds - (now - self._asked_at)) if left else 0.0


class _Uploads:
    """The desk of the uploads: backup catalogue and mark before, the service's word after."""

    def __init__(self, session: Session, plan: Plan, applied: ApplyResult) -> None:
        self._session = session
        self._plan = plan
        self._applied = applied
        self._before: dict[str, Mark | None] = {}
        self._refused: list[tuple[UploadJob, str]] = []
        self._settled = 0
        self._forecast = _Forecast(session)

    def before_send(self, jobs: Sequence[UploadJob]) -> None:
        session = self._session
        session.local.backup.add_samples(
            [(job.upload.class_title, job.upload.path, job.content) for job in jobs], session.runtime.clock.now()
        )
        for job in jobs:
            self._before[job.upload.uid] = session.local.journal.mark(job.upload.uid)
        session.local.journal.attempt(
            [(job.upload.uid, job.upload.class_title, job.upload.path) for job in jobs], session.runtime.clock.now()
        )

    def settle(self, results: Sequence[tuple[UploadJob, BaseException | None]]) -> None:
        with self._session.local.journal.commit():
            for job, error in results:
                self._settle_one(job, error)

    def _settle_one(self, job: UploadJob, error: BaseException | None) -> None:
        session, upload, applied = self._session, job.upload, self._applied
        if isinstance(error, RemoteError) and (
            error.outcome is Outcome.NOT_DONE or isinstance(error, BadKey | NoSuchModel)
        ):
            self._take_back(upload.uid)
            return
        if isinstance(error, StoreError) and error.stops_run:
            # It says nothing about this sample, and nothing was sent.
            if upload.uid in self._before:
                self._take_back(upload.uid)
            return
        self._settled += 1
        session.local.journal.record(
            [_event(session, "upload", upload.class_title, upload.uid, upload.path, error=error)]
        )
        if error is None:
            # The time of the answer: between mark and sending this process may have been stopped for any time.
            session.local.journal.agree([(upload.uid, upload.class_title, upload.path)], session.runtime.clock.now())
            session.local.journal.clear_bad([upload.uid])
            applied.uploaded.add(upload.uid)
            left = len(self._plan.uploads) - self._settled
            session.listener.uploaded(upload.class_title, upload.path, self._forecast.seconds(left))
            return
        if isinstance(error, OutcomeUnknown):
            session.local.journal.resend_at([upload.uid], session.runtime.clock.now())
            applied.doubtful_uploads.add(upload.uid)
            session.listener.note(f"{upload.path}: {error}; settled later, by what the service shows")
            return
        if isinstance(error, ImageRejected):
            session.local.journal.set_bad([_bad(session, upload, str(error))])
        elif isinstance(error, Refused):
            self._refused.append((job, str(error)))
        elif isinstance(error, SourceChanged):
            # The index may be what is wrong: the next scan reads the file again, whatever its times say.
            session.local.index.forget([upload.path])
        if isinstance(error, (StoreError, Refused)):
            applied.failed.append(FailedSample(upload.class_title, upload.path, error.text_with_hint, kind_of(error)))
            session.listener.failed(upload.class_title, upload.path, error.text_with_hint)

    def _take_back(self, uid: str) -> None:
        """The request proved that nothing was done, so the mark says again what it said before."""
        mark = self._before.get(uid)
        if mark is None:
            self._session.local.journal.forget([uid])
        else:
            self._session.local.journal.restore(mark)

    def finish(self, error: BaseException | None) -> None:
        """Single refusals are about the samples; when the run ended over them they are about the account, and no
        sample is blamed."""
        self._applied.left += len(self._plan.uploads) - self._settled
        if isinstance(error, Refused):
            return
        with self._session.local.journal.commit():
            for job, reason in self._refused:
                self._session.local.journal.set_bad([_bad(self._session, job.upload, reason)])


def _remove(session: Session, plan: Plan, applied: ApplyResult, breaker: CircuitBreaker) -> None:
    places = uploads_by_content(plan.uploads)
    ready = []
    for removal in plan.removals:
        if set(uploads_before(removal, places)) <= applied.uploaded:
            ready.append(removal)
        else:
            applied.left += 1
    _remove_samples(session, ready, applied, breaker)
    looked: Observation | None = None
    for entry in plan.class_removals:
        waits_for = {uid for removal in entry.samples for uid in uploads_before(removal, places)}
        if applied.error is not None or not waits_for <= applied.uploaded:
            applied.left += len(entry.samples)
            continue
        singly, looked = _remove_class(session, entry, applied, looked)
        _remove_samples(session, singly, applied, breaker)


def _remove_samples(
    session: Session, removals: Sequence[RemoveSample], applied: ApplyResult, breaker: CircuitBreaker
) -> None:
    desk = _Removals(session, applied, len(removals))
    flow = Pipeline(
        session.runtime.workers, session.remote.service, session.runtime.clock, breaker, session.runtime.stopping
    )
    flow.run((RemovalJob(session, removal) for removal in removals), Lane.REMOVAL, desk)
    applied.left += desk.left
    applied.error = applied.error or flow.error


class _Removals:
    """The desk of the removals."""

    def __init__(self, session: Session, applied: ApplyResult, planned: int) -> None:
        self._session = session
        self._applied = applied
        self.left = planned
        self._forecast = _Forecast(session)

    def before_send(self, jobs: Sequence[RemovalJob]) -> None:
        _mark_removals(self._session, [job.removal for job in jobs])

    def settle(self, results: Sequence[tuple[RemovalJob, BaseException | None]]) -> None:
        session, applied = self._session, self._applied
        with session.local.journal.commit():
            for job, error in results:
                removal = job.removal
                if isinstance(error, RemoteError) and error.outcome is Outcome.NOT_DONE:
                    continue
                if isinstance(error, StoreError) and error.stops_run:
                    continue
                self.left -= 1
                title, path = removal.class_title, removal.path
                session.local.journal.record(
                    [_event(session, "remove", title, removal.uid, path, removal.sample_id, error)]
                )
                if error is None:
                    applied.removed += 1
                    session.listener.removed(title, path, 1, self._forecast.seconds(self.left))
                elif isinstance(error, OutcomeUnknown):
                    session.local.journal.resend_at([removal.uid], session.runtime.clock.now())
                    applied.doubtful_removals.add(removal.sample_id)
                elif isinstance(error, Refused):
                    # Perhaps it is gone already; only an observation can tell.
                    applied.refused.add(removal.sample_id)
                elif isinstance(error, StoreError):
                    applied.failed.append(FailedSample(title, path, error.text_with_hint, kind_of(error)))
                    session.listener.failed(title, path, error.text_with_hint)


def _mark_removals(session: Session, removals: Sequence[RemoveSample]) -> None:
    """Re-marks samples as attempted, so that a copy which turns up late is still ours and goes as well."""
    session.local.journal.attempt(
        [(removal.uid, removal.class_title, removal.path) for removal in removals], session.runtime.clock.now()
    )


def _remove_class(
    session: Session, entry: RemoveClass, applied: ApplyResult, before: Observation | None
) -> tuple[list[RemoveSample], Observation | None]:
    """One ``class_remove``, when a view of this moment shows nothing in the class but what must go.

    Returns the samples that must be removed one by one instead, where the class holds something else or one of them may
    not go after all; and what was shown last, which is ``before`` where nobody looked.
    """
    # What somebody has looked for since the plan was made, and did not see, is not asked for.
    wanted = list(entry.samples)
    if before is not None:
        shown = _inside(before, entry)
        wanted = [removal for removal in entry.samples if (removal.sample_id, removal.uid) in shown]
        applied.left += len(entry.samples) - len(wanted)
    if not wanted or session.remote.service.limit < CLASS_REMOVE_COST:
        # The right to remove is held while the view is asked for, so that nothing lies between them but an answer.
        return wanted, before
    try:
        for removal in wanted:
            prove_kept(session, removal)
    except StoreError:
        return wanted, before
    try:
        permit = session.remote.service.wait_for_permit(Lane.REMOVAL)
    except Interrupted as stop:
        applied.error = stop
        applied.left += len(wanted)
        return [], before
    try:
        observation = observe_before_removal(session.local, session.remote, session.target)
    except AsticaSyncError as failure:
        session.remote.service.release(permit)
        applied.error = failure
        applied.left += len(wanted)
        return [], before
    shown = _inside(observation, entry)
    planned = [removal for removal in wanted if (removal.sample_id, removal.uid) in shown]
    alone = len(planned) == len(shown)
    if not planned or not alone or not all(may_go(session, removal) for removal in planned):
        session.remote.service.release(permit)
        return planned, observation
    _mark_removals(session, planned)
    try:
        session.remote.service.remove_class(permit, entry.class_id)
    except RemoteError as failure:
        _settle_class(session, entry, planned, applied, failure)
    else:
        _settle_class(session, entry, planned, applied, None)
    return [], observation


def _inside(observation: Observation, entry: RemoveClass) -> set[tuple[int, str]]:
    """What is shown in a class, by id and uid: an id may by now be that of a sample which somebody else has made."""
    return {(sample.sample_id, sample.uid) for sample in observation.samples if sample.class_id == entry.class_id}


def _settle_class(
    session: Session, entry: RemoveClass, removed: list[RemoveSample], applied: ApplyResult, error: BaseException | None
) -> None:
    with session.local.journal.commit():
        session.local.journal.record(
            [
                _event(session, "remove-class", entry.class_title, item.uid, item.path, item.sample_id, error)
                for item in removed
            ]
        )
        if isinstance(error, OutcomeUnknown):
            session.local.journal.resend_at([item.uid for item in removed], session.runtime.clock.now())
    if error is None:
        applied.removed += len(removed)
        session.listener.removed(entry.class_title, "", len(removed), 0.0)
    elif isinstance(error, Refused):
        applied.refused.update(item.sample_id for item in removed)
    elif isinstance(error, OutcomeUnknown):
        applied.doubtful_removals.update(item.sample_id for item in removed)
    else:
        applied.error = error
