"""The samples of one observation in columns: a million of them as objects would take the memory of two views."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import eq
from typing import overload

from astica_sync.core.model import CONTENT_LENGTH, RemoteClass, RemoteSample


class DuplicateSampleId(ValueError):
    """Two samples of one observation have the same sample id."""


class SampleTable(Sequence[RemoteSample]):
    """The samples of one observation, sorted by uid, then by sample id.

    A ``RemoteSample`` is created on access. A table equals any other sequence of the same samples.
    """

    def __init__(
        self, classes: Sequence[RemoteClass], uids: list[str], ids: "array[int]", sizes: "array[float] | None" = None
    ) -> None:
        """``uids``, ``ids`` and ``sizes`` hold the samples of the first class, then those of the second, and so on; how
        many belong to each class is its ``samples``.

        Raises:
            DuplicateSampleId: two samples have the same id.
        """
        sorted_ids = sorted(ids)
        if _has_duplicates(sorted_ids):
            raise DuplicateSampleId
        # Freed before the next sort: each list holds a million numbers.
        del sorted_ids
        class_numbers = array("I")
        for number, entry in enumerate(classes):
            class_numbers.extend(array("I", (number,)) * entry.samples)
        order = sorted(range(len(uids)), key=uids.__getitem__)
        self._uids = [uids[row] for row in order]
        if _has_duplicates(self._uids):
            order.sort(key=lambda row: (uids[row], ids[row]))
        self._ids = array("q", map(ids.__getitem__, order))
        self._sizes = array("d", map(sizes.__getitem__, order)) if sizes else array("d", bytes(8 * len(order)))
        self._class_numbers = array("I", map(class_numbers.__getitem__, order))
        self._classes = [(entry.class_id, entry.title) for entry in classes]

    @classmethod
    def of(cls, samples: Sequence[RemoteSample]) -> "SampleTable":
        """A table of these samples, which are sorted by uid, then by sample id."""
        if isinstance(samples, cls):
            return samples
        numbers: dict[tuple[int, str], int] = {}
        uids, ids, class_numbers, sizes = [], array("q"), array("I"), array("d")
        for sample in samples:
            uids.append(sample.uid)
            ids.append(sample.sample_id)
            class_numbers.append(numbers.setdefault((sample.class_id, sample.class_title), len(numbers)))
            sizes.append(sample.size)
        return cls.from_columns(uids, ids, class_numbers, list(numbers), sizes)

    @classmethod
    def from_columns(
        cls,
        uids: list[str],
        ids: "array[int]",
        class_numbers: "array[int]",
        classes: list[tuple[int, str]],
        sizes: "array[float]",
    ) -> "SampleTable":
        """A table of columns that are already sorted; ``class_numbers`` are positions in ``classes``, which holds the
        id and the title of each class."""
        table = cls((), [], array("q"))
        table._uids, table._ids, table._class_numbers, table._classes = uids, ids, class_numbers, classes
        table._sizes = sizes
        return table

    @property
    def uids(self) -> list[str]:
        """The uid of each sample."""
        return self._uids

    @property
    def ids(self) -> "array[int]":
        """The sample id of each sample."""
        return self._ids

    @property
    def sizes(self) -> "array[float]":
        """The size of each sample in megabytes; 0 where it is not shown."""
        return self._sizes

    @property
    def class_numbers(self) -> "array[int]":
        """The position of each sample's class in ``classes``."""
        return self._class_numbers

    @property
    def classes(self) -> list[tuple[int, str]]:
        """The id and title of each class; a class without samples may be among them."""
        return self._classes

    def titles(self, start: int, end: int) -> list[str]:
        """The class titles of the samples from ``start`` up to ``end``, as the service spells them."""
        titles = [title for _, title in self._classes]
        return [titles[number] for number in self._class_numbers[start:end]]

    def with_contents(self, contents: Iterable[str]) -> Iterator[RemoteSample]:
        """The samples whose uids begin with one of these content hashes, in the order of ``contents``.

        A uid shorter than a content hash matches an entry that equals it.
        """
        for content in contents:
            row = bisect_left(self._uids, content)
            while row < len(self) and self._uids[row][:CONTENT_LENGTH] == content:
                yield self[row]
                row += 1

    def __len__(self) -> int:
        return len(self._uids)

    def __iter__(self) -> Iterator[RemoteSample]:
        classes = self._classes
        columns = zip(self._uids, self._ids, self._class_numbers, self._sizes, strict=True)
        for uid, sample_id, number, size in columns:
            yield RemoteSample(uid, sample_id, *classes[number], size)

    @overload
    def __getitem__(self, index: int) -> RemoteSample: ...

    @overload
    def __getitem__(self, index: slice) -> list[RemoteSample]: ...

    def __getitem__(self, index: int | slice) -> RemoteSample | list[RemoteSample]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return RemoteSample(
            self._uids[index], self._ids[index], *self._classes[self._class_numbers[index]], self._sizes[index]
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self._ids))

    def __repr__(self) -> str:
        return f"<SampleTable: {len(self)} samples>"


def _has_duplicates(ordered: Sequence[object]) -> bool:
    return any(map(eq, ordered, islice(ordered, 1, None)))
