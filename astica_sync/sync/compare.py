"""Brings the three sides to the decision table: what is the same on all of them by columns, the rest one by one."""

from collections import Counter
from collections.abc import Callable, Iterable

from astica_sync.core.kept import Kept, find_kept, look_again, share_out
from astica_sync.core.plan import Plan, Terms, make_plan
from astica_sync.core.sample import CONTENT_LENGTH, Observation, RemoteSample
from astica_sync.core.shown import Shown
from astica_sync.store.columns import Columns
from astica_sync.sync.parts import Parts

MOST = 10_000
"""So many contents that are not the same are remembered, or looked up one by one."""


def compare(parts: Parts, observation: Observation, terms: Terms, *, quick: bool, most: int | None) -> Plan:
    """The plan of store (or version), journal and observation.

    ``quick`` begins with what the last such comparison found, where neither the marks nor what the service shows have
    changed since. That is for who only wants to know: whoever sends or removes anything compares everything. Of what is
    in the store alone the plan names about ``most``, and counts the others as ``more``.
    """
    if parts.wanted:
        return make_plan(parts.wanted.samples, parts.journal.marks(), observation, terms)
    kept = (quick and _remembered(parts, observation)) or _find(parts, observation, remember=quick)
    now, later = share_out(kept, terms, most)
    if not later and len(now) > MOST and len(now) > kept.classes.total():
        # Looking each of them up would take longer than reading all.
        return make_plan(parts.index.local_samples(parts.model_id), parts.journal.marks(), observation, terms)
    local = parts.index.local_samples(parts.model_id, now)
    # Of what is new there is nothing else to know.
    marks, rest = parts.journal.marks(kept.rest), _shown_of(observation)(kept.rest)
    return make_plan(local, marks, observation, terms, kept.classes, later, rest)


def _find(parts: Parts, observation: Observation, *, remember: bool) -> Kept:
    samples = observation.samples
    shown = samples.shown() if isinstance(samples, Columns) else Shown.of(samples)
    kept = find_kept(parts.index.pages(parts.model_id), parts.journal.pages(), shown)
    if remember and len(kept.rest) + len(kept.new[0]) <= MOST:
        rest = sorted([*kept.rest, *(uid[:CONTENT_LENGTH] for uid in kept.new[0])])
        parts.index.note_compared([_sides(parts, observation), kept.classes, rest])
    return kept


def _remembered(parts: Parts, observation: Observation) -> Kept | None:
    noted = parts.index.compared()
    if noted is None or not observation.name:
        return None
    (sides, classes, rest), touched = noted
    if sides != _sides(parts, observation) or len(touched) > MOST:
        return None
    return look_again(Kept(Counter(classes), ([], []), rest), touched, _shown_of(observation))


def _sides(parts: Parts, observation: Observation) -> list[object]:
    return [parts.model_id, observation.name, parts.journal.marks_name()]


def _shown_of(observation: Observation) -> Callable[[list[str]], Iterable[RemoteSample]]:
    samples = observation.samples
    return samples.starting if isinstance(samples, Columns) else Shown.of(samples).starting
