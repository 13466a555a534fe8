"""Whether a folder with a sentinel is the store that was made, or a copy of it: the decision table of promise 3's first
question. ``docs/dev/identity.md`` shows the same table for readers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Likeness(StrEnum):
    """How something that the sentinel records compares with what is here."""

    SAME = "same"
    UNKNOWN = "unknown"
    OTHER = "other"


class Number(StrEnum):
    """What the inode number of the folder tells."""

    SAME = "same"
    COMMON = "common"
    """The same, which proves little: the file system makes numbers up, or this is the root of a disk."""
    UNSTABLE = "unstable"
    """Another one, which proves nothing: the file system makes new numbers at each mount."""
    OTHER = "other"


class RecordedPlace(StrEnum):
    """What the record of this user's state folder says about the sentinel."""

    HERE = "here"
    """Exactly this sentinel was used by this user in a folder of this path."""
    ELSEWHERE = "elsewhere"
    """Exactly this sentinel was used by this user in a folder of another path."""
    UNKNOWN = "unknown"
    """There is no record of this sentinel."""
    SUPERSEDED = "superseded"
    """This user has run ``init`` in another folder with this store's id since."""


class Verdict(StrEnum):
    GO_ON = "go on"
    COPIED = "copied"
    MADE_ELSEWHERE = "made elsewhere"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """``user``: whether this user's state folder made the sentinel. ``machine`` is a hint only: containers have none,
    or that of their image. ``same_device``: the device number is that of the last use; some mounts change it."""

    user: Likeness
    machine: Likeness
    number: Number
    place: RecordedPlace
    same_device: bool


def judge_identity(facts: IdentityFacts) -> Verdict:
    """Everything but ``GO_ON`` asks: nothing is concluded from this folder until ``init`` is run in it."""
    match facts.place:
        case RecordedPlace.SUPERSEDED:
            return Verdict.SUPERSEDED
        case RecordedPlace.HERE:
            return _at_its_path(facts)
        case RecordedPlace.ELSEWHERE:
            # A move within one disk keeps both numbers. The same number alone is that of many first folders of a disk.
            return Verdict.GO_ON if facts.number is Number.SAME and facts.same_device else Verdict.COPIED
        case RecordedPlace.UNKNOWN:
            return _without_record(facts)
        case _:
            assert_never(facts.place)


def _at_its_path(facts: IdentityFacts) -> Verdict:
    if facts.number is Number.OTHER:
        return Verdict.COPIED
    if facts.number is Number.SAME or facts.machine is not Likeness.OTHER:
        return Verdict.GO_ON
    # A home that was copied to another machine together with the store.
    return Verdict.MADE_ELSEWHERE


def _without_record(facts: IdentityFacts) -> Verdict:
    if facts.user is not Likeness.SAME and facts.machine is not Likeness.SAME:
        return Verdict.MADE_ELSEWHERE
    if facts.number is Number.SAME:
        return Verdict.GO_ON
    if facts.number is Number.COMMON and (facts.user is Likeness.SAME or facts.same_device):
        return Verdict.GO_ON
    return Verdict.COPIED
