"""Names the files because of which removals are held: a part of their class could not be read."""

from collections.abc import Sequence
from dataclasses import replace

from astica_sync.core.plan.decision_table import CLASS_UNREADABLE
from astica_sync.core.plan.plan import Plan
from astica_sync.local.class_folders.class_title import class_title_of


def name_unread_files(plan: Plan, hiding: Sequence[str]) -> Plan:
    """The plan, with the files that are the cause in the reason of each removal that is held for them.

    ``hiding`` are the paths of the files behind which other files may be that the scan has not seen.
    """
    if not any(one.reason == CLASS_UNREADABLE for one in plan.held):
        return plan
    causes: dict[str | None, list[str]] = {}
    for path in hiding:
        top = path.partition("/")[0]
        causes.setdefault(None if top == "." else class_title_of(top), []).append(path)
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
