"""Scan, observe, plan: what differs, and what a push would do. Changes nothing on either side."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from astica_sync.core.guard import Refusal, find_refusals, find_repeats
from astica_sync.core.naming import NearTitle, find_near_titles
from astica_sync.core.plan import Plan, Terms
from astica_sync.core.sample import ALL_SEEN, LocalSample, Observation, Problem
from astica_sync.store.ignore import Ignore
from astica_sync.store.journal import BadSample
from astica_sync.store.scan import Scan, scan_store
from astica_sync.sync.asking import seen_by_watcher
from astica_sync.sync.compare import compare
from astica_sync.sync.observing import last_observation, observe
from astica_sync.sync.parts import Parts

UIDS_PROVEN = "uids_proven"
FOLLOWS = "follows"
"""The journal's key for the version, and its snapshot, whose data the service was made equal to."""


@dataclass(frozen=True, slots=True)
class Status:
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


def find_status(parts: Parts, *, offline: bool = False, quick: bool = False, most: int | None = None) -> Status:
    """Scans the store, asks for one view (none when ``offline``) and plans. ``quick``: for who only wants to know.
    ``most``: so many uploads of new samples in this plan, the others in the next.

    Raises:
        StoreError: the store cannot be scanned, or nothing was ever observed and ``offline`` is set.
        RemoteError: there is no observation; nothing may be concluded.
    """
    told = seen_by_watcher(parts) if quick else None
    scan = told or _scan(parts)
    version = parts.index.version
    observation = last_observation(parts) if offline else observe(parts)
    if told is None and parts.index.version != version:
        # Another process has scanned meanwhile, and what it could not read is no sample in the index that both fill.
        scan = _scan(parts)
    return plan_round(parts, scan, observation, quick=quick, most=most)


def _scan(parts: Parts) -> Scan:
    parts.listener.phase("Looking through the store")
    return scan_store(parts.layout, parts.index, clock=parts.clock, disk=parts.disk, threads=parts.readers)


def plan_round(
    parts: Parts,
    scan: Scan,
    observation: Observation,
    accepted: Container[str] = frozenset(),
    *,
    quick: bool = False,
    most: int | None = None,
) -> Status:
    """Plans from a scan and an observation, and asks the guard. ``accepted`` are new class titles that a person wants
    although they nearly are another one; ``quick`` relies on what an earlier comparison of the same sides has found."""
    # The classes of a version were meant when it was made.
    near = (
        []
        if parts.wanted
        else [
            entry
            for entry in find_near_titles(scan.classes, (entry.title for entry in observation.classes))
            if entry.title not in accepted and not parts.journal.has_class(entry.title)
        ]
    )
    bad = {entry.uid: entry for entry in parts.journal.bad()}
    terms = Terms(
        run=parts.journal.run,
        run_started=parts.run_started,
        quarantine=parts.quarantine,
        unknown=ALL_SEEN if parts.wanted else scan.unknown,
        bad=bad.keys(),
        asked={entry.title for entry in near},
        class_remove=parts.class_remove,
        uids_proven=bool(parts.journal.get_meta(UIDS_PROVEN)),
        ignored=_ignored(parts),
        version=parts.wanted is not None,
    )
    plan = compare(parts, observation, terms, quick=quick, most=most)
    named = {upload.class_title for upload in plan.asked}
    return Status(
        scan,
        observation,
        plan,
        find_refusals(plan, parts.allowance) + find_repeats(plan, parts.allowance),
        list(parts.index.problems()),
        bad,
        [entry for entry in near if entry.title in named],
        most,
    )


def local_side(parts: Parts) -> Iterable[LocalSample]:
    """What the service is to hold, sorted by uid: the store, or the snapshot that stands in for it."""
    return parts.wanted.samples if parts.wanted else parts.index.local_samples(parts.model_id)


def _ignored(parts: Parts) -> Callable[[str], bool]:
    """Whether a file that stands in the store is taken out of it by the ignore file."""
    ignore = Ignore.load(parts.layout.root)

    def ignored(path: str) -> bool:
        if not path or not ignore.skips_below(path):
            return False
        try:
            parts.disk.lstat(parts.layout.root / path)
        except OSError:
            return False
        return True

    return ignored
