"""Brings the three sides together: store, journal and service, one row for each uid.

All three arrive sorted by uid, so a million rows pass through in the memory of a few.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from astica_sync.core.sample import LocalSample, Mark, RemoteSample


@dataclass(frozen=True, slots=True)
class Row:
    """All that is known of one uid; ``remote`` is every sample the service shows under it, lowest id first."""

    uid: str
    local: LocalSample | None
    mark: Mark | None
    remote: tuple[RemoteSample, ...]

    @property
    def class_title(self) -> str | None:
        """The class the sample belongs to; None for what was made elsewhere."""
        if self.local is not None:
            return self.local.class_title
        return self.mark.class_title if self.mark is not None else None


def merge_rows(local: Iterable[LocalSample], marks: Iterable[Mark], remote: Iterable[RemoteSample]) -> Iterator[Row]:
    """One row for each uid on any side, in order.

    Raises:
        ValueError: a side is not sorted by uid; going on would call samples absent that are there.
    """
    locals_, marks_, remotes = _Side(local), _Side(marks), _Side(remote)
    while uids := [side.head.uid for side in (locals_, marks_, remotes) if side.head is not None]:
        uid = min(uids)
        mine = locals_.take_all(uid)
        noted = marks_.take_all(uid)
        theirs = remotes.take_all(uid)
        yield Row(uid, mine[0] if mine else None, noted[0] if noted else None, tuple(theirs))


_Item = TypeVar("_Item", LocalSample, Mark, RemoteSample)


class _Side(Generic[_Item]):
    """A sorted stream with its next item in sight."""

    def __init__(self, items: Iterable[_Item]) -> None:
        self._items: Iterator[_Item] = iter(items)
        self.head: _Item | None = next(self._items, None)

    def take_all(self, uid: str) -> list[_Item]:
        taken: list[_Item] = []
        while self.head is not None and self.head.uid == uid:
            taken.append(self.head)
            self.head = next(self._items, None)
            if self.head is not None and self.head.uid < uid:
                raise ValueError(f"not sorted by uid: {self.head.uid!r} after {uid!r}")
        return taken
