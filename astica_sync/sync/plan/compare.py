"""Brings the three sides to the decision table: what is the same on all of them by columns, the rest one by one."""

from collections import Counter
from collections.abc import Callable, Iterable

from astica_sync.core.model import CONTENT_LENGTH, Observation, RemoteSample
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.planner import PlanContext, make_plan
from astica_sync.core.plan.unchanged import Unchanged, find_unchanged, recheck_contents, split_batch
from astica_sync.core.view.sample_table import SampleTable
from astica_sync.local.db.view_cache import ViewCache
from astica_sync.sync.session import Session

MOST = 10_000
"""So many contents that are not the same are remembered, or looked up one by one."""


def compare(session: Session, observation: Observation, terms: PlanContext, *, quick: bool, most: int | None) -> Plan:
    """The plan of store (or version), journal and observation.

    ``quick`` begins with what the last such comparison found, where neither the marks nor what the service shows have
    changed since. That is for who only wants to know: whoever sends or removes anything compares everything. Of what is
    in the store alone the plan names about ``most``, and counts the others as ``more``.
    """
    if session.wanted:
        return make_plan(session.wanted.samples, session.journal.marks(), observation, terms)
    unchanged = (quick and _remembered(session, observation)) or _find(session, observation, remember=quick)
    now, later = split_batch(unchanged, terms, most)
    if not later and len(now) > MOST and len(now) > unchanged.classes.total():
        # Looking each of them up would take longer than reading all.
        return make_plan(session.index.local_samples(session.model_id), session.journal.marks(), observation, terms)
    local = session.index.local_samples(session.model_id, now)
    # Of what is new there is nothing else to know.
    marks, rest = session.journal.marks(unchanged.rest), _shown_of(observation)(unchanged.rest)
    return make_plan(local, marks, observation, terms, counted=unchanged.classes, later=later, remote=rest)


def _find(session: Session, observation: Observation, *, remember: bool) -> Unchanged:
    samples = observation.samples
    shown = samples.shown() if isinstance(samples, ViewCache) else SampleTable.of(samples)
    unchanged = find_unchanged(session.index.pages(session.model_id), session.journal.pages(), shown)
    if remember and len(unchanged.rest) + len(unchanged.new[0]) <= MOST:
        rest = sorted([*unchanged.rest, *(uid[:CONTENT_LENGTH] for uid in unchanged.new[0])])
        session.index.note_compared([_sides(session, observation), unchanged.classes, rest])
    return unchanged


def _remembered(session: Session, observation: Observation) -> Unchanged | None:
    noted = session.index.compared()
    if noted is None or not observation.name:
        return None
    (sides, classes, rest), touched = noted
    if sides != _sides(session, observation) or len(touched) > MOST:
        return None
    return recheck_contents(Unchanged(Counter(classes), ([], []), rest), touched, _shown_of(observation))


def _sides(session: Session, observation: Observation) -> list[object]:
    return [session.model_id, observation.name, session.journal.marks_name()]


def _shown_of(observation: Observation) -> Callable[[list[str]], Iterable[RemoteSample]]:
    samples = observation.samples
    return samples.with_contents if isinstance(samples, ViewCache) else SampleTable.of(samples).with_contents
