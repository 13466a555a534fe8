"""Scan, observe, plan: what differs, and what a push would do. Changes nothing on either side."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from astica_sync.core.model import ALL_READABLE, LocalSample, Observation, Problem
from astica_sync.core.plan.guard import Refusal, check_removals, check_repeats
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.planner import PlanContext
from astica_sync.core.plan.similar_titles import NearTitle, find_near_titles
from astica_sync.local.db.journal import BadSample
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.scan.scanner import Scan, scan_store
from astica_sync.sync.plan.ask_watcher import scan_by_watcher
from astica_sync.sync.plan.compare import compare
from astica_sync.sync.plan.observe import last_observation, observe
from astica_sync.sync.session import Session

UIDS_PROVEN = "uids_proven"
FOLLOWS = "follows"
"""The journal's key for the version, and its snapshot, whose data the service was made equal to."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Both sides at one moment, and what follows.

    ``bad`` are the samples that are not tried again, by uid; ``near`` the new classes whose uploads wait for a word.
    ``most`` is how many new samples the plan was to name.
    """

    scan: Scan
    observation: Observation
    plan: Plan
    refusals: list[Refusal]
    problems: list[Problem]
    bad: dict[str, BadSample]
    near: list[NearTitle]
    most: int | None = None


def find_status(
    session: Session, *, offline: bool = False, quick: bool = False, most: int | None = None
) -> StoreStatus:
    """Scans the store, asks for one view (none when ``offline``) and plans. ``quick``: for who only wants to know.
    ``most``: so many uploads of new samples in this plan, the others in the next.

    Raises:
        StoreError: the store cannot be scanned, or nothing was ever observed and ``offline`` is set.
        RemoteError: there is no observation; nothing may be concluded.
    """
    told = scan_by_watcher(session) if quick else None
    scan = told or _scan(session)
    version = session.index.version
    observation = last_observation(session) if offline else observe(session)
    if told is None and session.index.version != version:
        # Another process has scanned meanwhile, and what it could not read is no sample in the index that both fill.
        scan = _scan(session)
    return plan_round(session, scan, observation, quick=quick, most=most)


def _scan(session: Session) -> Scan:
    session.listener.phase("Looking through the store")
    return scan_store(session.layout, session.index, clock=session.clock, fs=session.fs, threads=session.readers)


def plan_round(
    session: Session,
    scan: Scan,
    observation: Observation,
    accepted: Container[str] = frozenset(),
    *,
    quick: bool = False,
    most: int | None = None,
) -> StoreStatus:
    """Plans from a scan and an observation, and asks the guard. ``accepted`` are new class titles that a person wants
    although they nearly are another one; ``quick`` relies on what an earlier comparison of the same sides has found."""
    # The classes of a version were meant when it was made.
    near = (
        []
        if session.wanted
        else [
            entry
            for entry in find_near_titles(scan.classes, (entry.title for entry in observation.classes))
            if entry.title not in accepted and not session.journal.has_class(entry.title)
        ]
    )
    bad = {entry.uid: entry for entry in session.journal.bad()}
    terms = PlanContext(
        run=session.journal.run,
        run_started=session.run_started,
        quarantine=session.quarantine,
        unreadable=ALL_READABLE if session.wanted else scan.unknown,
        failed_before=bad.keys(),
        questioned_titles={entry.title for entry in near},
        class_remove=session.class_remove,
        uids_proven=bool(session.journal.get_meta(UIDS_PROVEN)),
        ignored=_ignored(session),
        is_version=session.wanted is not None,
    )
    plan = compare(session, observation, terms, quick=quick, most=most)
    named = {upload.class_title for upload in plan.questioned}
    return StoreStatus(
        scan,
        observation,
        plan,
        check_removals(plan, session.allowance) + check_repeats(plan, session.allowance),
        list(session.index.problems()),
        bad,
        [entry for entry in near if entry.title in named],
        most,
    )


def local_side(session: Session) -> Iterable[LocalSample]:
    """What the service is to hold, sorted by uid: the store, or the snapshot that stands in for it."""
    return session.wanted.samples if session.wanted else session.index.local_samples(session.model_id)


def _ignored(session: Session) -> Callable[[str], bool]:
    """Whether a file that stands in the store is taken out of it by the ignore file."""
    ignore = Ignore.load(session.layout.root)

    def ignored(path: str) -> bool:
        if not path or not ignore.skips_below(path):
            return False
        try:
            session.fs.lstat(session.layout.root / path)
        except OSError:
            return False
        return True

    return ignored
