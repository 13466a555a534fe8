"""Scan, observe, plan: what differs, and what a push would do. Changes nothing on either side."""

import json
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from astica_sync.core.guard import Refusal, find_refusals
from astica_sync.core.kept import find_kept
from astica_sync.core.naming import NearTitle, find_near_titles
from astica_sync.core.pace import Lane
from astica_sync.core.pairing import rename_adopted
from astica_sync.core.plan import Plan, Terms, make_plan
from astica_sync.core.sample import ALL_SEEN, LocalSample, Observation, Problem
from astica_sync.core.shown import Shown
from astica_sync.errors import NotAnObservation, StoreError
from astica_sync.remote.wire import parse_view
from astica_sync.store.ignore import Ignore
from astica_sync.store.journal import BadSample
from astica_sync.store.records import Records
from astica_sync.store.scan import Scan, scan_store
from astica_sync.sync.parts import Parts

FEW = 1000
UIDS_PROVEN = "uids_proven"
FOLLOWS = "follows"
"""The journal's key for the version, and its snapshot, whose data the service was made equal to."""


@dataclass(frozen=True, slots=True)
class Status:
    """Both sides at one moment, and what follows.

    ``bad`` are the samples that are not tried again, by uid; ``near`` the new classes whose uploads wait for a word.
    """

    scan: Scan
    observation: Observation
    plan: Plan
    refusals: list[Refusal]
    problems: list[Problem]
    bad: dict[str, BadSample]
    near: list[NearTitle]


def find_status(parts: Parts, *, offline: bool = False) -> Status:
    """Scans the store, asks for one view (none when ``offline``) and plans.

    Raises:
        StoreError: the store cannot be scanned, or nothing was ever observed and ``offline`` is set.
        RemoteError: there is no observation; nothing may be concluded.
    """
    parts.listener.phase("Looking through the store")
    scan = scan_store(parts.layout, parts.index, clock=parts.clock, disk=parts.disk, threads=parts.readers)
    observation = last_observation(parts) if offline else observe(parts)
    return plan_round(parts, scan, observation)


def observe(parts: Parts) -> Observation:
    """Asks for one view and keeps it as the last observation."""
    parts.listener.phase("Asking the service")
    observation, body = parts.service.view(parts.model_id, Lane.PERSON)
    observation = rename_adopted(observation, _records(parts).adopted())
    head = json.dumps({"model_id": parts.model_id, "asked_at": observation.asked_at}).encode()
    try:
        parts.disk.write_synced(parts.layout.last_view, [head, b"\n", body])
    except OSError as error:
        parts.listener.note(f"the last observation could not be kept for --offline: {error.strerror or error}")
    return observation


def last_observation(parts: Parts) -> Observation:
    """The observation of an earlier run.

    Raises:
        StoreError: there is none for this model.
    """
    try:
        kept = parts.layout.last_view.read_bytes()
        start = kept.index(b"\n") + 1
        about = json.loads(kept[:start])
        if about["model_id"] == parts.model_id:
            # A view of the bytes: a second copy of a large answer would be half of all memory.
            body = memoryview(kept)[start:]
            observation = parse_view(body, parts.model_id, float(about["asked_at"]))
            return rename_adopted(observation, _records(parts).adopted())
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, NotAnObservation):
        raise StoreError("the last observation cannot be read any more", "Run it once without --offline.") from None
    raise StoreError("nothing has been observed yet for this model", "Run it once without --offline.")


def plan_round(parts: Parts, scan: Scan, observation: Observation, accepted: Container[str] = frozenset()) -> Status:
    """Plans from a scan and an observation, and asks the guard. ``accepted`` are new class titles that a person wants
    although they nearly are another one."""
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
    plan = _compare(parts, observation, terms)
    named = {upload.class_title for upload in plan.asked}
    return Status(
        scan,
        observation,
        plan,
        find_refusals(plan, parts.allowance),
        list(parts.index.problems()),
        bad,
        [entry for entry in near if entry.title in named],
    )


def _compare(parts: Parts, observation: Observation, terms: Terms) -> Plan:
    """Plans; only what is not the same on all sides is looked at one by one, unless that is nearly everything."""
    if parts.wanted:
        return make_plan(parts.wanted.samples, parts.journal.marks(), observation, terms)
    shown = Shown.of(observation.samples)
    kept = find_kept(parts.index.pages(parts.model_id), parts.journal.pages(), shown)
    if len(kept.rest) > kept.classes.total() + FEW:
        return make_plan(parts.index.local_samples(parts.model_id), parts.journal.marks(), observation, terms)
    local = parts.index.local_samples(parts.model_id, kept.rest)
    return make_plan(local, parts.journal.marks(kept.rest), observation, terms, kept)


def local_side(parts: Parts) -> Iterable[LocalSample]:
    """What the service is to hold, sorted by uid: the store, or the snapshot that stands in for it."""
    return parts.wanted.samples if parts.wanted else parts.index.local_samples(parts.model_id)


def _records(parts: Parts) -> Records:
    return Records(parts.backup.root, parts.disk, parts.model_id)


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
