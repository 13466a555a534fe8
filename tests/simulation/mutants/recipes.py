"""Seeded bugs in the recipes by which images are converted: the uids, what replaces what, and the guard."""

from dataclasses import replace as changed
from typing import Any

from astica_sync.core.model import Mark, MarkState, is_uid
from astica_sync.core.plan.decision_table import RemovalReason
from tests.simulation.mutants.plan import DECISION, GUARD, PLAN, STATUS
from tests.simulation.mutants.seams import mutant, replace, wrap


def waits_for_no_other_recipe(original: Any, removal: Any, planned: Any) -> Any:
    return [] if removal.why is RemovalReason.RECONVERTED else original(removal, planned)


def other_recipe_is_secured(original: Any, facts: Any) -> Any:
    return original(facts._replace(new_place_pending=False) if facts.other_recipe else facts)


def counted_by_removals(original: Any, plan: Any, allowance: Any) -> Any:
    refusals = original(plan, allowance)
    return [changed(refusal, uploads=()) for refusal in refusals if refusal.samples]


def all_recipes_are_ours(original: Any, draft: Any, rows: Any, observation: Any, context: Any) -> None:
    titles = {row.local.class_title for row in rows if row.local is not None}
    original(draft, [_with_a_mark(row, titles) for row in rows], observation, context)


def _with_a_mark(row: Any, titles: set[str]) -> Any:
    if row.local is not None or row.mark is not None or not is_uid(row.uid) or row.remote[0].class_title not in titles:
        return row
    return changed(row, mark=Mark(row.uid, row.remote[0].class_title, MarkState.AGREED, None, "", ""))


def as_large_as_its_file(original: Any, local: Any, **kwargs: Any) -> Any:
    sent_size_of = original(local, **kwargs)

    def size_of(content: str, size: int) -> int:
        found = sent_size_of(content, size)
        return size if found is None else found

    return size_of


RECIPE_MUTANTS = (
    mutant(
        "the recipe is no part of a uid",
        replace("astica_sync.local.db.index:Index.recipe_identity", property(lambda self: "")),
        quick=50,
    ),
    mutant(
        "what another recipe has made goes before what replaces it is sure",
        wrap("astica_sync.core.plan.upload_before_removal:uploads_before", waits_for_no_other_recipe),
        wrap(DECISION + "_removal_obstacle", other_recipe_is_secured),
    ),
    mutant(
        "the guard lets every image be converted again",
        replace(GUARD + "check_reconversions", lambda plan, allowance: []),
        quick=100,
    ),
    mutant(
        "the guard counts no uploads of images that are converted again",
        wrap(GUARD + "check_reconversions", counted_by_removals),
        quick=100,
    ),
    mutant(
        "what another store has converted by another recipe is removed",
        wrap(PLAN + "_plan_image", all_recipes_are_ours),
    ),
    mutant(
        "an image that was not converted yet has the size of its file",
        wrap(STATUS + "find_sent_size_of", as_large_as_its_file),
    ),
    mutant(
        "what another recipe has made has the size of what this one makes",
        replace(PLAN + "_is_of_recipe", lambda row, observation, context: row.mark is not None),
    ),
)
