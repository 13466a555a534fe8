"""A push: rounds of scan, observe, plan and apply until nothing is doubtful."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from astica_sync.clock import Clock
from astica_sync.core.model import Problem, RemoteSample
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import GivenUp, Held, Plan
from astica_sync.core.plan.plan_subset import left_out, without_lost
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.journal import Journal
from astica_sync.local.store_sentinel import check_root
from astica_sync.sync.apply.result import FailedSample
from astica_sync.sync.plan.find_status import FOLLOWS, StoreStatus, find_status
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.push.prove_uids import forget_cut_uids
from astica_sync.sync.push.push_round import Consent, Naming, Round, RoundRunner
from astica_sync.sync.session import Session, VersionAsStore

LOST_TRIES = 3
"""How many times one push sends a request whose answer is lost each time."""
GIVEN_UP = f"no readable answer to {LOST_TRIES} requests about it; the next push tries it again"


@dataclass(slots=True)
class PushResult:
    """What a push did. ``left`` counts what was planned and not done, ``requests`` everything that was sent,
    ``refused`` how much of that the service refused for its limit or for the account's quota, and ``held`` are the
    samples that are not removed for now. ``owned`` are the classes that the store manages, ``not_owned`` counts the
    images in its other class folders, by title, and ``given_up`` are the samples that it does not manage any more.
    ``unmanaged`` are those made elsewhere that the last view showed."""

    uploaded: int = 0
    removed: int = 0
    near: list[NearTitle] = field(default_factory=list)
    failed: list[FailedSample] = field(default_factory=list)
    requests: int = 0
    refused: int = 0
    in_sync: bool = False
    problems: list[Problem] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    held: tuple[Held, ...] = ()
    unmanaged: tuple[RemoteSample, ...] = field(default=(), repr=False)
    left: int = 0
    error: BaseException | None = None
    owned: OwnedClasses = ALL_CLASSES
    not_owned: Mapping[str, int] = field(default_factory=dict)
    given_up: list[GivenUp] = field(default_factory=list)

    def include(self, ended: Round, given_up: list[FailedSample]) -> None:
        """Adds a round. What failed in an earlier round was planned again, so the failures are those of the last."""
        status, applied = ended.status, ended.applied
        self.uploaded += len(applied.uploaded) + ended.late_uploads
        self.removed += applied.removed + ended.late_removals
        self.failed = failed_before(status) + applied.failed + given_up
        self.refusals = ended.refusals
        self.problems = status.problems
        self.near = status.near
        self.held = status.plan.held
        self.owned, self.not_owned = status.owned, status.plan.not_owned
        self.given_up += applied.given_up
        self.unmanaged = status.plan.unmanaged
        self.left = applied.left + status.plan.later
        self.error = applied.error
        self.in_sync = self.error is None and ended.in_sync and not given_up


def push(
    session: Session,
    *,
    consent: Consent = lambda _: False,
    naming: Naming = lambda _: False,
    new_classes: Iterable[str] = (),
    retry: bool = False,
) -> PushResult:
    """Brings the service in sync with the store, or with the data of the version in ``session.target``.

    Args:
        consent: asked when the guard refuses a part of the plan; True lets it be done.
        naming: asked when new classes have titles similar to existing ones; True creates them.
        new_classes: new titles that the user wants although they are similar to existing ones.
        retry: tries the samples again that failed before.

    Raises:
        StoreBusy: another process writes this store.
        StoreError: the store is not the one it was, or cannot be scanned.
        RemoteError: there is no first observation.
    """
    local, policy = session.local, session.policy
    with local.lock(local.layout):
        check_root(local.layout, local.fs)
        if retry:
            local.journal.clear_bad()
            forget_cut_uids(local.journal)
        _record_target(local.journal, session.target)
        pushed = _run_rounds(session, RoundRunner(session, consent, naming, new_classes, retry), policy.batch_size)
    if pushed.in_sync and session.target is None:
        session.on_agreed()
    pushed.requests, pushed.refused = session.remote.service.requests, session.remote.service.refused
    return pushed


def _run_rounds(session: Session, rounds: RoundRunner, batch_size: int) -> PushResult:
    pushed = PushResult()
    lost = LostAnswers()
    status = find_status(session, most=batch_size)
    while True:
        planned = len(status.plan.uploads)
        ended = rounds.run(status, lost.leave_out)
        lost.count(ended)
        pushed.include(ended, lost.given_up)
        if pushed.error is not None or ended.observe_at is None:
            return pushed
        try:
            _wait_until(ended.observe_at, ended.waits_for, session.runtime.clock, session.listener)
            # Uploads that fail for their own reasons take no place from new samples.
            stuck = max(0, planned - len(ended.applied.uploaded))
            status = find_status(session, most=batch_size + stuck)
        except AsticaSyncError as error:
            pushed.error, pushed.in_sync = error, False
            return pushed


class LostAnswers:
    """Counts lost answers by uid and sample id, and leaves out requests whose answers are lost again and again: a
    service that fails at one sample must not keep the push from its end.

    ``given_up`` are the samples that the last plan was left without.
    """

    def __init__(self) -> None:
        self._times: Counter[str | int] = Counter()
        self.given_up: list[FailedSample] = []

    def count(self, ended: Round) -> None:
        self._times.update(ended.applied.doubtful_uploads)
        self._times.update(ended.applied.doubtful_removals)

    def leave_out(self, plan: Plan) -> Plan:
        lost = {name for name, times in self._times.items() if times >= LOST_TRIES}
        rest = without_lost(plan, lost)
        dropped = left_out(plan, rest) if lost else []
        self.given_up = [FailedSample(one.class_title, one.path, GIVEN_UP) for one in dropped]
        return rest


def failed_before(status: StoreStatus) -> list[FailedSample]:
    """The samples that failed in an earlier push and are not tried again."""
    bad = status.bad
    return [FailedSample(one.class_title, one.path, bad[one.uid].reason) for one in status.plan.failed_before]


def _record_target(journal: Journal, target: VersionAsStore | None) -> None:
    """Records, before the first request, which version's data the service is made to hold, for later commands."""
    follows = [target.version, target.snapshot] if target else None
    if journal.get_meta(FOLLOWS) != follows:
        journal.set_meta(FOLLOWS, follows)


def _wait_until(time: float, why: str, clock: Clock, listener: ProgressListener) -> None:
    """Waits for the next observation.

    Raises:
        Interrupted: the user asked to stop.
    """
    seconds = time - clock.now()
    if seconds > 0:
        listener.waits(seconds, why)
        clock.sleep(seconds)
