"""What prevents a training now."""

from collections.abc import Sequence
from dataclasses import dataclass

from astica_sync.core.model import Observation
from astica_sync.core.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a training should not start now. An ``overridable`` one is ignored with ``--anyway``."""

    reason: str
    hint: str
    overridable: bool = False


def find_objections(plan: Plan, observation: Observation) -> list[Objection]:
    """Everything that prevents a training now, the most serious first."""
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
        "to remove": [entry.class_title for entry in plan.removed] + [entry.class_title for entry in plan.held],
    }
    differences = [f"{len(titles):,} {what} in {_titles(titles)}" for what, titles in pending.items() if titles]
    if plan.incomplete:
        differences.append("a part of the store could not be read")
    # Another push does not send what failed, nor reads what cannot be read.
    run = "Run: astica-sync push." if any(pending.values()) else "To see why: astica-sync status."
    if plan.failed_before:
        failed = [entry.class_title for entry in plan.failed_before]
        differences.append(f"{len(failed):,} that failed before in {_titles(failed)}")
    if differences:
        objections.append(
            Objection(
                f"store and service differ: {', '.join(differences)}",
                f"{run} To train on what the service has: astica-sync train --anyway",
                overridable=True,
            )
        )
    return objections


def _titles(titles: Sequence[str]) -> str:
    different = sorted(set(titles))
    listed = ", ".join(repr(title) for title in different[:3])
    return listed if len(different) <= 3 else f"{listed} and {_count(len(different) - 3, 'more class', 'more classes')}"


def _count(number: int, thing: str, things: str = "") -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {things or thing + 's'}"
