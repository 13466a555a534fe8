"""Names the files because of which removals are held: a part of their class could not be read."""

from collections.abc import Sequence
from dataclasses import replace

from astica_sync.core.model import Problem
from astica_sync.core.plan.decision import CLASS_UNREADABLE
from astica_sync.core.plan.plan import Plan
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.scan.file_hash import CHANGING

HIDING = (
    "symbolic link",
    "cannot be read",
    "its type cannot be read",
    CHANGING,
    "contains another store",
    "files are missing since a disk",
)
"""How the reasons of problems begin behind which files of the store may be that the scan has not seen."""


def name_causes(plan: Plan, problems: Sequence[Problem]) -> Plan:
    """The plan, with the files that are the cause in the reason of each removal that is held for them."""
    if not any(one.reason == CLASS_UNREADABLE for one in plan.held):
        return plan
    causes: dict[str | None, list[str]] = {}
    for problem in problems:
        if problem.reason.startswith(HIDING):
            top = problem.path.partition("/")[0]
            causes.setdefault(None if top == "." else class_title_of(top), []).append(problem.path)
    # What cannot be read of the store's own folder may belong to any class.
    held = (
        replace(one, reason=_with_causes(causes.get(one.class_title) or causes.get(None, [])))
        if one.reason == CLASS_UNREADABLE
        else one
        for one in plan.held
    )
    return replace(plan, held=tuple(held))


def _with_causes(paths: list[str]) -> str:
    if not paths:
        return CLASS_UNREADABLE
    more = f" and {len(paths) - 1:,} more" if paths[1:] else ""
    return f"{CLASS_UNREADABLE}: {paths[0]}{more}"
