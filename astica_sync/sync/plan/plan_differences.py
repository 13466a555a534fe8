"""Compares index, journal and observation: what is the same on all three in columns, the rest sample by sample."""

from collections import Counter
from collections.abc import Callable, Iterable

from astica_sync.core.model import CONTENT_LENGTH, Observation, RemoteSample
from astica_sync.core.observation.sample_table import SampleTable
from astica_sync.core.owned_classes import OwnedClasses
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.planner import make_plan
from astica_sync.core.plan.unchanged_samples import (
    Unchanged,
    find_unchanged,
    pages_of_owned,
    recheck_contents,
    split_batch,
)
from astica_sync.local.db.view_cache import ViewCache
from astica_sync.sync.session import LocalSide

MOST = 10_000
"""The most contents that are remembered as different, or looked up one by one."""


def compare(local: LocalSide, observation: Observation, context: PlanContext, *, quick: bool, most: int | None) -> Plan:
    """The plan that follows from the store, the journal and the observation.

    Args:
        quick: starts from what the last comparison found, where neither the marks nor what the service shows have
            changed since. For commands that send nothing; a push compares everything.
        most: about so many of the samples that only the store has are in the plan; it counts the others as ``more``.
    """
    owned = context.owned
    unchanged = (quick and _recall(local, observation, owned)) or _find_unchanged(
        local, observation, owned, remember=quick
    )
    now, later = split_batch(unchanged, context, most)
    if not later and len(now) > MOST and len(now) > unchanged.classes.total():
        # To look each of them up would take longer than to read all.
        return make_plan(
            local.index.local_samples(observation.model.model_id), local.journal.marks(), observation, context
        )
    samples = local.index.local_samples(observation.model.model_id, now)
    # Of what is new there is nothing else to know.
    marks, rest = local.journal.marks(unchanged.rest), samples_of(observation)(unchanged.rest)
    return make_plan(samples, marks, observation, context, counted=unchanged.classes, later=later, remote=rest)


def _find_unchanged(local: LocalSide, observation: Observation, owned: OwnedClasses, *, remember: bool) -> Unchanged:
    samples = observation.samples
    shown = samples.table() if isinstance(samples, ViewCache) else SampleTable.of(samples)
    pages = pages_of_owned(local.index.pages(observation.model.model_id), owned)
    unchanged = find_unchanged(pages, local.journal.pages(), shown)
    if remember and len(unchanged.rest) + len(unchanged.new[0]) <= MOST:
        rest = sorted([*unchanged.rest, *(uid[:CONTENT_LENGTH] for uid in unchanged.new[0])])
        local.index.note_compared([_sides_of(local, observation, owned), unchanged.classes, rest])
    return unchanged


def _recall(local: LocalSide, observation: Observation, owned: OwnedClasses) -> Unchanged | None:
    noted = local.index.compared()
    if noted is None or not observation.name:
        return None
    (sides, classes, rest), touched = noted
    if sides != _sides_of(local, observation, owned) or len(touched) > MOST:
        return None
    return recheck_contents(Unchanged(Counter(classes), ([], []), rest), touched, samples_of(observation))


def _sides_of(local: LocalSide, observation: Observation, owned: OwnedClasses) -> list[object]:
    journal, index = local.journal, local.index
    return [observation.model.model_id, observation.name, journal.marks_name(), index.recipe_identity, *owned.titles]


def samples_of(observation: Observation) -> Callable[[list[str]], Iterable[RemoteSample]]:
    samples = observation.samples
    return samples.with_contents if isinstance(samples, ViewCache) else SampleTable.of(samples).with_contents
