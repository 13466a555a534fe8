"""One push, top to bottom: rounds of scan, observe, plan and apply until nothing is doubtful."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from astica_sync.core.model import Problem
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan, RemoveSample, Upload
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.core.watch.upload_queue import select_uploads
from astica_sync.errors import AsticaSyncError, Refused
from astica_sync.local.identity import check_root
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.apply.circuit_breaker import CircuitBreaker
from astica_sync.sync.apply.result import ApplyResult, FailedSample
from astica_sync.sync.plan.status import FOLLOWS, StoreStatus, find_status, plan_round
from astica_sync.sync.push.first_upload import prove_uids, refuse_cut_uids, try_again
from astica_sync.sync.push.overwritten_twins import note_replaced
from astica_sync.sync.session import Session

LOST_TRIES = 3
"""How often one push sends a request whose answer is lost each time."""

Consent = Callable[[list[Refusal]], bool]
Naming = Callable[[list[NearTitle]], bool]


@dataclass(slots=True)
class PushResult:
    """What a push did. ``left`` counts what was planned and not done, ``requests`` everything that was sent."""

    uploaded: int = 0
    removed: int = 0
    near: list[NearTitle] = field(default_factory=list)
    failed: list[FailedSample] = field(default_factory=list)
    requests: int = 0
    in_sync: bool = False
    problems: list[Problem] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    left: int = 0
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What became of one round.

    ``again`` is when the next observation can settle what is doubtful (seconds since the epoch), None when nothing
    is; ``sent`` and ``gone`` count what was sent with unknown outcome in an earlier round and turned out to be done.
    """

    seen: StoreStatus
    applied: ApplyResult
    refusals: list[Refusal]
    again: float | None
    sent: int
    gone: int

    @property
    def in_sync(self) -> bool:
        """Whether the service equals the store now, by what was observed and confirmed."""
        plan, applied = self.seen.plan, self.applied
        undone = self.refusals or plan.failed_before or applied.failed or applied.left or applied.doubtful
        return not (undone or plan.waiting or plan.held or plan.questioned or plan.incomplete or plan.later)


class RoundRunner:
    """Runs rounds, and remembers from one to the next what a person agreed to, what the service confirmed, and what is
    doubtful. A push loops over them; a watcher runs one when there is a reason to."""

    def __init__(
        self,
        session: Session,
        consent: Consent = lambda _: False,
        naming: Naming = lambda _: False,
        new_classes: Iterable[str] = (),
        retry: bool = False,
    ) -> None:
        self._session = session
        self._retry = retry
        self._consent = consent
        self._naming = naming
        self._accepted = set(new_classes)
        self._agreed: set[int | str] = set()
        self._refused: set[int] = set()
        self._doubts = ApplyResult()
        self.confirmed: set[str] = set()
        """What was confirmed since this began, and not yet shown as far as is known."""

    def run(self, seen: StoreStatus, choose: Callable[[Plan], Plan] = lambda plan: plan) -> Round:
        """Applies what ``choose`` takes of the plan; waits for nothing. What it did not take counts nowhere."""
        session = self._session
        if not self._retry and note_replaced(session, seen):
            seen = plan_round(session, seen.scan, seen.observation, self._accepted, most=seen.most)
        seen = _named(session, seen, self._accepted, self._naming)
        plan, never_shown = _take_confirmed(seen.plan, self.confirmed)
        seen = replace(seen, plan=plan)
        seen = replace(seen, refusals=_still_planned(seen), plan=choose(seen.plan))
        session.listener.planned(seen.plan, seen.refusals, session.remote.service.forecast(seen.plan.requests))
        refusals = _still_refused(seen.refusals, self._agreed, self._consent)
        seen = replace(seen, plan=_without_repeats(seen.plan, refusals))
        # What is new goes up first, all of it.
        applied = _round(session, seen, removals=not refusals and not seen.plan.later)
        again = _settled_at(session, seen, applied, self._refused)
        applied.failed.extend(never_shown)
        self.confirmed |= applied.uploaded
        sent, gone = _count_settled(seen, self._doubts)
        self.doubt(applied)
        self._refused |= applied.refused
        return Round(seen, applied, refusals, again, sent, gone)

    def take_over(self, session: Session) -> None:
        """Goes on with these parts."""
        self._session = session

    def doubt(self, applied: ApplyResult) -> None:
        """Takes up what was sent with unknown outcome, so that a later round counts it when it turns out to be done."""
        self._doubts.doubtful_uploads -= applied.uploaded
        self._doubts.doubtful_uploads |= applied.doubtful_uploads
        self._doubts.doubtful_removals |= applied.doubtful_removals


def push(
    session: Session,
    *,
    consent: Consent = lambda _: False,
    naming: Naming = lambda _: False,
    new_classes: Iterable[str] = (),
    retry: bool = False,
) -> PushResult:
    """Makes the service equal to the store, or to the version's data that ``session.target`` names.

    Args:
        parts: what to work with.
        consent: asked when the guard refuses removals; True lets these go.
        naming: asked when new classes nearly are others; True makes them.
        new_classes: titles that are meant as they are.
        retry: try the samples again that failed for good.

    Raises:
        StoreBusy: another process writes this store.
        StoreError: the store is not what it was, or cannot be scanned.
        RemoteError: there is no first observation.
    """
    pushed = PushResult()
    with session.local.lock(session.local.layout):
        check_root(session.local.layout, session.local.fs)
        if retry:
            session.local.journal.clear_bad()
            try_again(session)
        _follow(session)
        rounds = RoundRunner(session, consent, naming, new_classes, retry)
        seen = find_status(session, most=session.policy.batch_size)
        lost: Counter[str | int] = Counter()
        while True:
            given_up: list[FailedSample] = []
            # Counted now, since the first upload of a new store is taken from its plan.
            planned = len(seen.plan.uploads)
            done = rounds.run(seen, functools.partial(_without_lost, lost=lost, given_up=given_up))
            lost.update(done.applied.doubtful_uploads)
            lost.update(done.applied.doubtful_removals)
            _add(pushed, done)
            pushed.failed += given_up
            if done.applied.error is not None or done.again is None:
                break
            try:
                _wait(session, done.again)
                # What could not go up for reasons of its own keeps no place from what is new.
                stuck = planned - len(done.applied.uploaded)
                seen = find_status(session, most=session.policy.batch_size + max(0, stuck))
            except AsticaSyncError as error:
                pushed.error = error
                break
    pushed.requests = session.remote.service.requests
    pushed.in_sync = pushed.error is None and done.in_sync and not given_up
    return pushed


def _without_lost(plan: Plan, *, lost: Mapping[str | int, int], given_up: list[FailedSample]) -> Plan:
    """The plan without the requests whose answer was lost time and again: a service that stumbles over one sample
    must not hold up the push for ever. ``lost`` counts by uid and by sample id."""
    stuck = {name for name, times in lost.items() if times >= LOST_TRIES}
    if not stuck:
        return plan
    kept = select_uploads(plan, {upload.uid for upload in plan.uploads if upload.uid not in stuck})
    kept = replace(
        kept,
        removals=tuple(removal for removal in kept.removals if removal.sample_id not in stuck),
        class_removals=tuple(
            entry for entry in kept.class_removals if stuck.isdisjoint(sample.sample_id for sample in entry.samples)
        ),
    )
    left = {removal.sample_id for removal in kept.removed}
    dropped: list[Upload | RemoveSample] = [upload for upload in plan.uploads if upload.uid in stuck]
    dropped += [removal for removal in plan.removed if removal.sample_id not in left]
    reason = f"{LOST_TRIES} answers about it were lost or unreadable; the next push tries it again"
    given_up += [FailedSample(one.class_title, one.path, reason) for one in dropped]
    return kept


def _follow(session: Session) -> None:
    """Remembers, before the first request, which data the service is made to hold, for whoever looks later."""
    wanted = [session.target.version, session.target.snapshot] if session.target else None
    if session.local.journal.get_meta(FOLLOWS) != wanted:
        session.local.journal.set_meta(FOLLOWS, wanted)


def _named(session: Session, seen: StoreStatus, accepted: set[str], naming: Naming) -> StoreStatus:
    """The same status, with the uploads into new classes that are meant as they are."""
    if not seen.near:
        return seen
    titles = {entry.title for entry in seen.near}
    if not titles <= accepted and naming([entry for entry in seen.near if entry.title not in accepted]):
        accepted |= titles
    return plan_round(session, seen.scan, seen.observation, accepted, most=seen.most)


def _still_planned(seen: StoreStatus) -> list[Refusal]:
    """The refusals, those left out that are about uploads which are not tried anyway."""
    uids = {upload.uid for upload in seen.plan.uploads}
    return [refusal for refusal in seen.refusals if not refusal.uploads or uids & {one.uid for one in refusal.uploads}]


def _still_refused(refusals: list[Refusal], agreed: set[int | str], consent: Consent) -> list[Refusal]:
    """The refusals that stand. A person's consent holds for the samples that were shown, not for later ones."""
    named: set[int | str] = {sample.sample_id for refusal in refusals for sample in refusal.samples}
    named |= {upload.uid for refusal in refusals for upload in refusal.uploads}
    if not named <= agreed and consent(refusals):
        agreed |= named
    return [] if named <= agreed else refusals


def _without_repeats(plan: Plan, refusals: list[Refusal]) -> Plan:
    """The plan without the uploads that a guard keeps back; and a view that it doubts makes no mark forgotten."""
    repeats = {upload.uid for refusal in refusals for upload in refusal.uploads}
    if not repeats:
        return plan
    return replace(select_uploads(plan, {upload.uid for upload in plan.uploads} - repeats), forgets=())


def _round(session: Session, seen: StoreStatus, *, removals: bool) -> ApplyResult:
    """Applies one plan; the first sample alone when the service has never been seen to keep our uids."""
    plan = seen.plan
    if not plan.first_upload_alone:
        return apply_plan(session, plan, removals=removals)
    first, untried = _apply_first(session, seen)
    if first.error is not None or first.doubtful:
        first.left += len(untried) + len(plan.removed)
        return first
    rest = apply_plan(session, replace(plan, adopts=(), forgets=(), uploads=untried), removals=removals)
    rest.uploaded |= first.uploaded
    rest.failed = first.failed + rest.failed
    return rest


def _apply_first(session: Session, seen: StoreStatus) -> tuple[ApplyResult, tuple[Upload, ...]]:
    """Uploads until one sample is on the service, and looks at it; also returns the uploads that were not tried."""
    plan = seen.plan
    untried = plan.uploads
    piece = Plan(adopts=plan.adopts, forgets=plan.forgets)
    total = ApplyResult()
    breaker = CircuitBreaker()
    tried: list[str] = []
    try:
        refuse_cut_uids(session, seen.observation)
    except AsticaSyncError as error:
        total.error = error
    while untried and not (total.uploaded or total.doubtful or total.error):
        upload, *others = untried
        untried = tuple(others)
        applied = apply_plan(session, replace(piece, uploads=(upload,)), removals=False, breaker=breaker)
        tried.append(upload.uid)
        piece = Plan()
        total.failed += applied.failed
        total.uploaded |= applied.uploaded
        total.doubtful_uploads |= applied.doubtful_uploads
        total.left += applied.left
        total.error = applied.error
        if applied.uploaded and total.error is None:
            try:
                prove_uids(session, seen.observation, upload)
            except AsticaSyncError as error:
                total.error = error
    if isinstance(total.error, Refused):
        # One refusal after the other is about the account, and no sample is blamed.
        session.local.journal.clear_bad(tried)
    return total, untried


def _add(pushed: PushResult, done: Round) -> None:
    """Takes up one round. What failed in an earlier round was planned again, so the last round knows best."""
    seen, applied = done.seen, done.applied
    pushed.uploaded += len(applied.uploaded) + done.sent
    pushed.removed += applied.removed + done.gone
    pushed.failed = blocked_of(seen) + applied.failed
    pushed.refusals = done.refusals
    pushed.problems = seen.problems
    pushed.near = seen.near
    pushed.left = applied.left + seen.plan.later
    pushed.error = applied.error


def blocked_of(seen: StoreStatus) -> list[FailedSample]:
    """The samples that failed before and are not tried again."""
    return [
        FailedSample(upload.class_title, upload.path, seen.bad[upload.uid].reason) for upload in seen.plan.failed_before
    ]


def _take_confirmed(plan: Plan, confirmed: set[str]) -> tuple[Plan, list[FailedSample]]:
    """Takes from the plan what was confirmed in this push already, and is not shown although its quarantine is over:
    sending it time and again would fill the account. The next push may try once more."""
    again = [upload for upload in plan.uploads if upload.uid in confirmed]
    if not again:
        return plan, []
    kept = select_uploads(plan, {upload.uid for upload in plan.uploads if upload.uid not in confirmed})
    reason = "the service confirmed it and does not show it; the next push tries it once more"
    return kept, [FailedSample(upload.class_title, upload.path, reason, "not_shown") for upload in again]


def _count_settled(seen: StoreStatus, doubts: ApplyResult) -> tuple[int, int]:
    """Counts what was sent with unknown outcome in earlier rounds and turns out to be done; takes it from there."""
    sent = {adopt.uid for adopt in seen.plan.adopts} & doubts.doubtful_uploads
    gone = doubts.doubtful_removals - {sample.sample_id for sample in seen.observation.samples}
    doubts.doubtful_uploads -= sent
    doubts.doubtful_removals -= gone
    return len(sent), len(gone)


def _settled_at(session: Session, seen: StoreStatus, applied: ApplyResult, refused: set[int]) -> float | None:
    """When the next observation can settle what is doubtful; None when nothing is.

    A removal that the service refuses may be one that was done before; one fresh look tells. ``refused`` are those
    that had theirs: they are still shown, so they have failed.
    """
    times = [waiting.until for waiting in seen.plan.waiting]
    if applied.doubtful:
        times.append(session.runtime.clock.now() + session.policy.quarantine)
    if applied.refused - refused:
        times.append(session.runtime.clock.now())
    elif applied.refused:
        reason = (
            "the service refuses to remove it and still shows it; look at it on the service's page, then push again"
        )
        stuck = [removal for removal in seen.plan.removed if removal.sample_id in applied.refused]
        applied.failed.extend(FailedSample(removal.class_title, removal.path, reason) for removal in stuck)
    if seen.plan.later and not (seen.plan.first_upload_alone and applied.doubtful):
        # The next ones wait for nothing; what is doubtful is settled by the way.
        return session.runtime.clock.now()
    return max(times, default=None)


def _wait(session: Session, until: float) -> None:
    """Waits out the quarantine.

    Raises:
        Interrupted: a person said stop meanwhile.
    """
    seconds = until - session.runtime.clock.now()
    if seconds > 0:
        session.listener.waits(seconds, "some answers were lost; what the service shows then settles them")
        session.runtime.clock.sleep(seconds)
