"""Joins the three sides, store, journal and service: one row for each uid.

All three are sorted by uid, so a million rows need the memory of a few.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from astica_sync.core.model import LocalSample, Mark, RemoteSample


@dataclass(frozen=True, slots=True)
class JoinedRow:
    """All that is known of one uid; ``remote`` is every sample the service shows under it, lowest id first."""

    uid: str
    local: LocalSample | None
    mark: Mark | None
    remote: tuple[RemoteSample, ...]


def merge_rows(
    local: Iterable[LocalSample], marks: Iterable[Mark], remote: Iterable[RemoteSample]
) -> Iterator[JoinedRow]:
    """One row for each uid on any side, in order.

    Raises:
        ValueError: a side is not sorted by uid; going on would call samples absent that are there.
    """
    local_side, marks_side, remote_side = _SortedSide(local), _SortedSide(marks), _SortedSide(remote)
    while True:
        uid = local_side.uid
        if uid is None or not uid == marks_side.uid == remote_side.uid:
            # Not the same on all three sides, as nearly all of a million are.
            uids = [side.uid for side in (local_side, marks_side, remote_side) if side.uid is not None]
            if not uids:
                return
            uid = min(uids)
        locals_, marked = local_side.take_all(uid), marks_side.take_all(uid)
        yield JoinedRow(
            uid,
            locals_[0] if locals_ else None,
            marked[0] if marked else None,
            tuple(remote_side.take_all(uid)),
        )


_Item = TypeVar("_Item", LocalSample, Mark, RemoteSample)


class _SortedSide(Generic[_Item]):
    """A sorted stream and its next item; ``uid`` is that item's, None at the end."""

    def __init__(self, items: Iterable[_Item]) -> None:
        self._items: Iterator[_Item] = iter(items)
        self._head: _Item | None = next(self._items, None)
        self.uid: str | None = None if self._head is None else self._head.uid

    def take_all(self, uid: str) -> Sequence[_Item]:
        """Every next item of this uid."""
        head = self._head
        if head is None or self.uid != uid:
            return ()
        taken = [head]
        while True:
            head = self._head = next(self._items, None)
            if head is None:
                self.uid = None
                return taken
            self.uid = head.uid
            if self.uid > uid:
                return taken
            if self.uid < uid:
                raise ValueError(f"not sorted by uid: {self.uid!r} after {uid!r}")
            taken.append(head)
