"""Names why removals are held: a part of their class could not be read, because of these files; or the store was moved,
so that its scan proves nothing."""

from collections.abc import Sequence
from dataclasses import replace

from astica_sync.core.plan.decision_table import CLASS_UNREADABLE
from astica_sync.core.plan.plan import Plan
from astica_sync.local.class_folders.class_title import class_title_of

MOVED = "the folder was moved or copied: what is gone is not compared until astica-sync init"


def name_unread_files(plan: Plan, hiding: Sequence[str], *, moved: bool = False) -> Plan:
    """The plan, with the files that are the cause in the reason of each removal that is held for them.

    Args:
        hiding: the paths of the files behind which other files may be that the scan has not seen.
        moved: the scan was one of a moved or copied store.
    """
    if not any(one.reason == CLASS_UNREADABLE for one in plan.held):
        return plan
    causes: dict[str | None, list[str]] = {}
    for path in hiding:
        top = path.partition("/")[0]
        causes.setdefault(None if top == "." else class_title_of(top), []).append(path)

    def reason(title: str) -> str:
        # What cannot be read of the store's own folder may belong to any class.
        found = causes.get(title) or causes.get(None, [])
        return MOVED if moved and not found else _with_causes(found)

    held = (
        replace(one, reason=reason(one.class_title)) if one.reason == CLASS_UNREADABLE else one for one in plan.held
    )
    return replace(plan, held=tuple(held))


def _with_causes(paths: list[str]) -> str:
    if not paths:
        return CLASS_UNREADABLE
    more = f" and {len(paths) - 1:,} more" if paths[1:] else ""
    return f"{CLASS_UNREADABLE}: {paths[0]}{more}"
