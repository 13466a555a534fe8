"""What is copied to a mirror of the backup, from the names and sizes on both sides."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

OBJECT = re.compile(
    r"backup/(?:objects|prepared)/(?P<folder>[0-9a-f]{2})/(?P<content>(?P=folder)[0-9a-f]{30})\.[a-z]{1,8}"
)
SNAPSHOT = re.compile(r"backup/snapshots/[0-9a-f]{32}\.jsonl")
OTHER = re.compile(r"backup/[A-Za-z0-9][A-Za-z0-9._-]{0,99}|store\.json|files\.jsonl")


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """``objects`` come first, so that nothing in the mirror names an object that it lacks; ``others`` are the files
    that name them. ``kept`` is how many objects are there already."""

    objects: tuple[str, ...]
    others: tuple[str, ...]
    kept: int


def plan_copies(here: Mapping[str, int], there: Mapping[str, int], changed: Container[str]) -> CopyPlan:
    """What to copy.

    An object and a snapshot are named by their content, so one of the same size is the same. Any other file is copied
    where its size differs or where it is one of ``changed`` since the last copy.

    Args:
        here: the size of each file of the backup in bytes, by its name in the mirror.
        there: the same of the mirror.
    """
    objects, others, kept = [], [], 0
    for name in sorted(here):
        same_size = there.get(name) == here[name]
        if OBJECT.fullmatch(name):
            kept += same_size
            if not same_size:
                objects.append(name)
        elif not same_size or (name in changed and not SNAPSHOT.fullmatch(name)):
            others.append(name)
    return CopyPlan(tuple(objects), tuple(others), kept)


def content_of(name: str) -> str | None:
    """The content hash that an object is named by; None for any other file."""
    found = OBJECT.fullmatch(name)
    return None if found is None else found["content"]


def is_of_mirror(name: str) -> bool:
    """Whether a mirror has files of this name. Nothing else is read from one, which another user may have filled."""
    return any(pattern.fullmatch(name) for pattern in (OBJECT, SNAPSHOT, OTHER)) and ".." not in name


def is_checked_now(content: str, turn: int, turns: int) -> bool:
    """Whether an object is read back this time: each one is in one of so many turns."""
    return int(content[:8], 16) % turns == turn % turns
