"""What prevents a training now."""

from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.model import Observation, Problem
from astica_sync.core.plan.decision_table import CONVERTED_FIRST, NEW_PLACE_PENDING, NEW_RECIPE_PENDING, SENT_AGAIN
from astica_sync.core.plan.plan import Plan

_UNTIL_A_PUSH = (CONVERTED_FIRST, NEW_PLACE_PENDING, NEW_RECIPE_PENDING, SENT_AGAIN)
"""Why removals are held that a push, or a later one, makes possible."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a training should not start now. An ``overridable`` one is ignored with ``--anyway``."""

    reason: str
    hint: str
    overridable: bool = False


def find_objections(
    plan: Plan, observation: Observation, unread: Sequence[Problem] = (), untitled: Sequence[Problem] = ()
) -> list[Objection]:
    """Everything that prevents a training now, the most serious first.

    Args:
        unread: what of the store may hide files that the scan has not seen.
        untitled: the folders of the store that cannot be classes because of their names.
    """
    objections = []
    filled = [entry.title for entry in observation.classes if entry.samples]
    if len(filled) < 2:
        has = f"only {filled[0]!r}" if filled else "none"
        coming = {entry.class_title for entry in plan.uploads}.union(filled)
        hint = "Run: astica-sync push" if len(coming) > 1 else "Add a second class folder with images, then push."
        objections.append(Objection(f"a training needs samples in at least two classes, and the model has {has}", hint))
    doubtful = [entry.class_title for entry in plan.waiting]
    if doubtful:
        objections.append(
            Objection(
                f"the outcome of {_count(len(doubtful), 'request')} is not known yet, in {_titles(doubtful)}",
                "Run: astica-sync push, which waits for the quarantine and then checks whether the samples are there.",
            )
        )
    pending = {
        "to upload": [entry.class_title for entry in plan.uploads + plan.questioned],
        "to remove": [entry.class_title for entry in plan.removed],
        "held (not removed for now)": [entry.class_title for entry in plan.held],
    }
    differences = [f"{len(titles):,} {what} in {_titles(titles)}" for what, titles in pending.items() if titles]
    if plan.incomplete:
        differences.append(f"a part of the store could not be read{_named(unread)}")
    if untitled:
        folders = "a folder is" if len(untitled) == 1 else f"{len(untitled):,} folders are"
        differences.append(f"{folders} left out{_named(untitled)}")
    if plan.failed_before:
        failed = [entry.class_title for entry in plan.failed_before]
        differences.append(f"{len(failed):,} that failed before in {_titles(failed)}")
    if differences:
        objections.append(
            Objection(
                f"store and service differ: {', '.join(differences)}",
                f"{_remedy(plan, rest=bool(untitled))} To train on what the service has: astica-sync train --anyway",
                overridable=True,
            )
        )
    return objections


def _remedy(plan: Plan, *, rest: bool) -> str:
    """What to run. Another push does not send what failed, nor reads what cannot be read; ``rest``: there is more that
    it does not change."""
    held = [entry.reason for entry in plan.held if entry.reason not in _UNTIL_A_PUSH]
    stays = bool(rest or held or plan.incomplete or plan.failed_before)
    if not (plan.uploads or plan.questioned or plan.removed or len(plan.held) > len(held)):
        return "To see why: astica-sync status."
    return "Run: astica-sync push. For what it leaves: astica-sync status." if stays else "Run: astica-sync push."


def _named(problems: Sequence[Problem]) -> str:
    """The first of them with its reason, and how many more there are."""
    if not problems:
        return ""
    more = f" and {len(problems) - 1:,} more" if problems[1:] else ""
    return f": {problems[0].path} ({problems[0].reason}){more}"


def _titles(titles: Sequence[str]) -> str:
    different = sorted(set(titles))
    listed = ", ".join(repr(title) for title in different[:3])
    return listed if len(different) <= 3 else f"{listed} and {_count(len(different) - 3, 'more class', 'more classes')}"


def _count(number: int, thing: str, things: str = "") -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {things or thing + 's'}"
