"""Columns of the gallery that share most of their entries with those of the gallery before.

A change of a few images among a million makes new columns, while the page still shows those before. Entries that both
have are in memory once: a column is a large part that is never changed, a small one with the entries that are new, and
the order in which the rows have the entries of both.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int32]
"""For each row the position of its entry: those of the large part come first, those of the small one follow."""

_LEAST, _SHARE = 4, 8


def is_worn(base: int, small: int, rows: int) -> bool:
    """Whether so much of the two parts is new or not used any more that one part in place of both is better."""
    unused = base + small - rows
    return small + unused > _LEAST + base // _SHARE


class SharedColumn:
    """Numbers, or rows of numbers, one for each image. Its entries never change; any thread may read it."""

    __slots__ = ("_parts",)

    def __init__(self, base: NDArray[Any], small: NDArray[Any] | None = None, slots: Slots | None = None) -> None:
        """Without ``slots`` the rows are the entries of ``base``."""
        self._parts = base, base[:0] if small is None else small, slots

    def __len__(self) -> int:
        base, _, slots = self._parts
        return len(base if slots is None else slots)

    def __getitem__(self, row: Any) -> Any:
        """The entry of a row, or those of several: a slice, or an array of numbers or of booleans."""
        base, small, slots = self._parts
        if slots is None:
            return base[row]
        slot = slots[row]
        if isinstance(slot, np.ndarray):
            return take(base, small, slot)
        return base[slot] if slot < len(base) else small[slot - len(base)]

    def whole(self) -> NDArray[Any]:
        """All entries as an array."""
        return self.derive(lambda part: part)

    def derive(self, work: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        """What ``work`` makes of each entry, as an array."""
        base, small, slots = self._parts
        return work(base) if slots is None else take(work(base), work(small), slots)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many entries the two parts have."""
        base, small, _ = self._parts
        return len(base), len(small)

    def slots_of(self, rows: NDArray[np.int32]) -> Slots:
        """The positions of the entries of these rows."""
        slots = self._parts[2]
        return rows if slots is None else slots[rows]

    def update(self, small: NDArray[Any], slots: Slots) -> "SharedColumn":
        """The column with the same large part and another small one."""
        return SharedColumn(self._parts[0], small, slots)

    def put_together(self) -> None:
        """Makes one part of the two. The entries stay, so this is for no one to see."""
        if self._parts[2] is not None:
            whole = self.whole()
            self._parts = whole, whole[:0], None


def take(base: NDArray[Any], small: NDArray[Any], slots: NDArray[np.int32]) -> NDArray[Any]:
    """The entries of two parts at these positions."""
    if not len(base):
        return small[slots]
    found = base.take(np.minimum(slots, len(base) - 1), axis=0)
    places = np.flatnonzero(slots >= len(base))
    if len(places):
        found = found.astype(np.result_type(base, small), copy=False)
        found[places] = small[slots[places] - len(base)]
    return found


class SharedNames:
    """As ``SharedColumn``, of the names of images: bytes one after the other, and where each begins, with the end of
    the last one."""

    __slots__ = ("_parts",)

    def __init__(
        self, base: bytes, starts: NDArray[np.integer], small: Sequence[bytes] = (), slots: Slots | None = None
    ) -> None:
        self._parts = base, starts, small, slots

    def __len__(self) -> int:
        _, starts, _, slots = self._parts
        return len(starts) - 1 if slots is None else len(slots)

    def __getitem__(self, row: int) -> bytes:
        base, starts, small, slots = self._parts
        slot = int(row if slots is None else slots[row])
        if slot >= len(starts) - 1:
            return small[slot - len(starts) + 1]
        return base[int(starts[slot]) : int(starts[slot + 1])]

    def between(self, start: int, end: int) -> tuple[bytes, NDArray[np.integer]]:
        """The names of these rows, one after the other, and the length of each."""
        base, starts, _, slots = self._parts
        if slots is None:
            return base[int(starts[start]) : int(starts[end])], np.diff(starts[start : end + 1])
        names = [self[row] for row in range(start, end)]
        return b"".join(names), np.fromiter(map(len, names), np.int64, len(names))

    def whole(self) -> tuple[bytes, NDArray[np.integer]]:
        """All names one after the other, and where each begins, with the end of the last one."""
        base, starts, small, slots = self._parts
        if slots is None:
            return base, starts
        count = len(starts) - 1
        lengths = take(np.diff(starts), np.fromiter(map(len, small), np.int64, len(small)), slots)
        return b"".join(_pieces(base, starts, small, slots, count)), starts_of(lengths)

    def search(self, wanted: "re.Pattern[bytes]") -> NDArray[np.bool_]:
        """In which names there is a match."""
        base, starts, small, slots = self._parts
        found = np.zeros(len(starts) - 1, bool)
        at = 0
        while match := wanted.search(base, at):
            entry = int(np.searchsorted(starts, starts.dtype.type(match.start()), side="right")) - 1
            end = int(starts[entry + 1])
            if match.end() <= end:
                found[entry] = True
                at = end
            else:
                at = match.start() + 1
        if slots is None:
            return found
        return take(found, np.array([wanted.search(name) is not None for name in small], bool), slots)

    def prefixes(self, rows: NDArray[np.int32], most: int) -> NDArray[np.uint8]:
        """The first bytes of each name, with zeros after a shorter one."""
        base, starts, small, slots = self._parts
        letters = np.zeros((len(rows), most), np.uint8)
        entries = rows if slots is None else slots[rows]
        inside = entries < len(starts) - 1
        for row in np.flatnonzero(~inside).tolist():
            name = small[int(entries[row]) - len(starts) + 1][:most]
            letters[row, : len(name)] = np.frombuffer(name, np.uint8)
        begins = starts[np.where(inside, entries, 0)]
        lengths = np.minimum(starts[np.where(inside, entries + 1, 0)] - begins, most)
        names = np.frombuffer(base, np.uint8)
        for place in range(int(lengths.max(initial=0))):
            has = lengths > place
            letters[has, place] = names[begins[has] + place]
        return letters

    def update(self, small: Sequence[bytes], slots: Slots) -> "SharedNames":
        """The names with the same large part and another small one."""
        base, starts, _, _ = self._parts
        return SharedNames(base, starts, small, slots)

    def put_together(self) -> None:
        """As of ``SharedColumn``."""
        if self._parts[3] is not None:
            base, starts = self.whole()
            self._parts = base, starts, (), None


def _pieces(
    base: bytes, starts: NDArray[np.integer], small: Sequence[bytes], slots: Slots, count: int
) -> Iterator[bytes | memoryview]:
    """The names in their order. Those that follow each other in the large part are one piece."""
    if not len(slots):
        return
    cuts = np.flatnonzero((slots[1:] != slots[:-1] + 1) | (slots[1:] >= count)) + 1
    view = memoryview(base)
    for first, last in zip(slots[[0, *cuts]].tolist(), slots[[*cuts - 1, -1]].tolist(), strict=True):
        yield small[first - count] if first >= count else view[int(starts[first]) : int(starts[last + 1])]


def narrow(numbers: NDArray[np.integer]) -> NDArray[np.integer]:
    """The same numbers in as few bytes each as hold all of them; the same array where it has so few."""
    if numbers.min(initial=0) >= 0:
        for dtype in (np.uint16, np.uint32):
            if numbers.max(initial=0) <= np.iinfo(dtype).max:
                return numbers.astype(dtype, copy=False)
    return numbers


def starts_of(lengths: NDArray[np.integer]) -> NDArray[np.integer]:
    """Where each of some texts begins that follow each other, with the end of the last one."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return narrow(starts)
