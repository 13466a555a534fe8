"""The samples of one observation in columns: a million of them as objects would take the memory of two views."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import eq
from typing import overload

from astica_sync.core.model import CONTENT_LENGTH, RemoteClass, RemoteSample


class DuplicateSampleId(ValueError):
    """One sample id stands for two samples."""


class SampleTable(Sequence[RemoteSample]):
    """Sorted by uid, then by sample id. Each sample is made when it is asked for.

    Equal to any other sequence of the same samples.
    """

    def __init__(self, classes: Sequence[RemoteClass], uids: list[str], ids: "array[int]") -> None:
        """``uids`` and ``ids`` hold the samples of the first class, then those of the second, and so on.

        Raises:
            ShownTwice: two samples have one id.
        """
        in_order = sorted(ids)
        if _has_alike(in_order):
            raise DuplicateSampleId
        # Before the next sort begins: each holds a million numbers.
        del in_order
        places = array("I")
        for place, entry in enumerate(classes):
            places.extend(array("I", (place,)) * entry.samples)
        order = sorted(range(len(uids)), key=uids.__getitem__)
        self._uids = [uids[number] for number in order]
        if _has_alike(self._uids):
            order.sort(key=lambda number: (uids[number], ids[number]))
        self._ids = array("q", map(ids.__getitem__, order))
        self._places = array("I", map(places.__getitem__, order))
        self._classes = [(entry.class_id, entry.title) for entry in classes]

    @classmethod
    def of(cls, samples: Sequence[RemoteSample]) -> "SampleTable":
        """The same samples, which are in order, in columns."""
        if isinstance(samples, cls):
            return samples
        numbers: dict[tuple[int, str], int] = {}
        uids, ids, places = [], array("q"), array("I")
        for sample in samples:
            uids.append(sample.uid)
            ids.append(sample.sample_id)
            places.append(numbers.setdefault((sample.class_id, sample.class_title), len(numbers)))
        return cls.from_columns(uids, ids, places, list(numbers))

    @classmethod
    def from_columns(
        cls, uids: list[str], ids: "array[int]", places: "array[int]", classes: list[tuple[int, str]]
    ) -> "SampleTable":
        """Columns that are in order already; ``places`` are numbers of ``classes``, of which each is id and title."""
        made = cls((), [], array("q"))
        made._uids, made._ids, made._places, made._classes = uids, ids, places, classes
        return made

    @property
    def ids(self) -> "array[int]":
        """The sample ids, in the order of the uids."""
        return self._ids

    @property
    def places(self) -> "array[int]":
        """For each sample the number of its class among ``classes``."""
        return self._places

    @property
    def classes(self) -> list[tuple[int, str]]:
        """Id and title of each class that has a sample, and perhaps of others."""
        return self._classes

    @property
    def uids(self) -> list[str]:
        """All uids, in order."""
        return self._uids

    def titles(self, start: int, end: int) -> list[str]:
        """The class titles of some samples, as the service spells them."""
        titles = [title for _, title in self._classes]
        return [titles[place] for place in self._places[start:end]]

    def starting(self, starts: Iterable[str]) -> Iterator[RemoteSample]:
        """The samples whose uids begin with one of ``starts``, as long as a content hash, or are equal to a shorter
        one; in order if these are."""
        for begin in starts:
            number = bisect_left(self._uids, begin)
            while number < len(self) and self._uids[number][:CONTENT_LENGTH] == begin:
                yield self[number]
                number += 1

    def __len__(self) -> int:
        return len(self._uids)

    def __iter__(self) -> Iterator[RemoteSample]:
        classes = self._classes
        for uid, sample_id, place in zip(self._uids, self._ids, self._places, strict=True):
            yield RemoteSample(uid, sample_id, *classes[place])

    @overload
    def __getitem__(self, index: int) -> RemoteSample: ...

    @overload
    def __getitem__(self, index: slice) -> list[RemoteSample]: ...

    def __getitem__(self, index: int | slice) -> RemoteSample | list[RemoteSample]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return RemoteSample(self._uids[index], self._ids[index], *self._classes[self._places[index]])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self._ids))

    def __repr__(self) -> str:
        return f"<{len(self)} samples>"


def _has_alike(ordered: Sequence[object]) -> bool:
    return any(map(eq, ordered, islice(ordered, 1, None)))
