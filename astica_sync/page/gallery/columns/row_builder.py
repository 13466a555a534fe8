"""What each image has by itself, in columns: rows are appended by folders or one by one, and put among others.

A column is made at a time, so that of a million images there is at no time more than the rows before and those after.
"""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import WithoutFile
from astica_sync.page.gallery.image_columns import CONTENT_BYTES, NO_CONTENT, Columns, image_id
from astica_sync.page.gallery.index_reader import FolderFiles


def narrow(numbers: NDArray[np.integer]) -> NDArray[np.integer]:
    """The same numbers in as few bytes each as hold all of them; the same array where it has so few."""
    if numbers.min(initial=0) >= 0:
        for dtype in (np.uint16, np.uint32):
            if numbers.max(initial=0) <= np.iinfo(dtype).max:
                return numbers.astype(dtype, copy=False)
    return numbers


@dataclass(frozen=True, slots=True)
class Rows:
    """As in ``Columns``, where ``class_of`` and ``place_of`` may be other numbers."""

    ids: NDArray[np.uint64]
    class_of: NDArray[np.integer]
    place_of: NDArray[np.integer]
    names: bytes
    name_starts: NDArray[np.integer]
    contents: NDArray[np.uint8]
    sizes: NDArray[np.integer]
    mtimes: NDArray[np.int64]

    @classmethod
    def of(cls, columns: Columns, class_of: NDArray[np.integer], place_of: NDArray[np.integer]) -> "Rows":
        """The rows of columns, with other numbers of their classes and places."""
        names, starts = columns.names, columns.name_starts
        return cls(columns.ids, class_of, place_of, names, starts, columns.contents, columns.sizes, columns.mtimes)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The first eight bytes of each content hash, as a number in this machine's order."""
        return self.contents.view(">u8")[:, 0].astype(np.uint64)

    def ends_with(self, tail: "Rows", start: int) -> bool:
        """Whether the rows from ``start`` on are these, whatever their classes."""
        starts, ends = self.name_starts[start:], tail.name_starts
        return (
            np.array_equal(self.ids[start:], tail.ids)
            and np.array_equal(starts - starts[0], ends)
            and self.names[int(starts[0]) :] == tail.names
            and all(
                np.array_equal(getattr(self, name)[start:], getattr(tail, name))
                for name in ("place_of", "contents", "sizes", "mtimes")
            )
        )


@dataclass(slots=True)
class RowsDraft:
    """Rows in the making: those of files, and then those of what has no file."""

    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    class_of: "array[int]" = field(default_factory=lambda: array("I"))
    place_of: "array[int]" = field(default_factory=lambda: array("I"))
    names: bytearray = field(default_factory=bytearray)
    lengths: "array[int]" = field(default_factory=lambda: array("I"))
    contents: bytearray = field(default_factory=bytearray)
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    mtimes: "array[int]" = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.ids)

    def add_folder(self, class_number: int, place: int, path: bytes, files: FolderFiles) -> None:
        """The files of the folder at ``path``, relative to the store."""
        first, _, below = path.partition(b"/")
        count = len(files.names)
        names = [below + b"/" + name for name in files.names] if below else files.names
        first += b"/"
        self.ids.extend([image_id(first + name) for name in names])
        self.class_of.extend(array("I", (class_number,)) * count)
        self.place_of.extend(array("I", (place,)) * count)
        self.names += b"".join(names)
        self.lengths.extend(map(len, names))
        self.contents += bytes.fromhex("".join(content or NO_CONTENT for content in files.contents))
        self.sizes.extend(files.sizes)
        self.mtimes.extend(files.mtimes)

    def add_row(self, one: WithoutFile, content: str) -> None:
        """A sample that has no file in the store; the number of its class is left open."""
        name = os.fsencode(one.path.partition("/")[2] or one.path) or f"#{one.sample_id}".encode()
        place = f"\0{one.shown.state}/{one.class_title}/{one.uid}/{one.sample_id}".encode("utf-8", "surrogateescape")
        self.ids.append(image_id(place))
        self.class_of.append(0)
        self.place_of.append(0)
        self.names += name
        self.lengths.append(len(name))
        self.contents += bytes.fromhex(content or NO_CONTENT)
        self.sizes.append(one.size)
        self.mtimes.append(one.mtime_ns)

    def file_classes(self) -> NDArray[np.uint32]:
        """The numbers of the classes of the rows so far."""
        return np.array(self.class_of, np.uint32)

    def file_keys(self) -> NDArray[np.uint64]:
        """The numbers of the content hashes of the rows so far, see ``Rows.keys``."""
        return np.frombuffer(self.contents, ">u8")[::2].astype(np.uint64)

    def finish(self) -> Rows:
        """The rows. Nothing can be added any more."""
        starts = _starts_of(np.frombuffer(self.lengths, np.uint32))
        names, self.names = bytes(self.names), bytearray()
        return Rows(
            np.frombuffer(self.ids, np.uint64),
            np.frombuffer(self.class_of, np.uint32),
            narrow(np.frombuffer(self.place_of, np.uint32)),
            names,
            starts,
            np.frombuffer(self.contents, np.uint8).reshape(-1, CONTENT_BYTES),
            narrow(np.frombuffer(self.sizes, np.int64)),
            np.frombuffer(self.mtimes, np.int64),
        )


def _starts_of(lengths: NDArray[np.integer]) -> NDArray[np.integer]:
    """Where each of some texts begins that follow each other, with the end of the last one."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return narrow(starts)


class RowsUpdate:
    """Earlier rows, of which some are left out, and new ones between them. It is used as a ``RowsDraft``."""

    def __init__(self, before: Rows, files: int, new: Rows, order: NDArray[np.int32] | None) -> None:
        """The first ``files`` of the rows before are those of files. ``order`` are the rows in their order, with the
        new ones numbered after all those before; None for the files as before."""
        self._before, self._files, self._new, self._order = before, files, new, order
        self._tail = RowsDraft()

    def __len__(self) -> int:
        return self._files if self._order is None else len(self._order)

    def file_classes(self) -> NDArray[np.uint32]:
        """As of a draft."""
        return self._of_files(self._before.class_of, self._new.class_of)

    def file_keys(self) -> NDArray[np.uint64]:
        """As of a draft."""
        return self._of_files(self._before.keys, self._new.keys)

    def add_row(self, one: WithoutFile, content: str) -> None:
        """As of a draft."""
        self._tail.add_row(one, content)

    def finish(self) -> Rows:
        """The rows; where all are as before, they have the arrays of those before. Nothing can be added any more."""
        before, new, tail = self._before, self._new, self._tail.finish()
        if self._order is None and before.ends_with(tail, self._files):
            return before
        lengths = [np.diff(each.name_starts) for each in (before, new, tail)]
        starts = _starts_of(np.concatenate((self._of_files(lengths[0], lengths[1]), lengths[2])))
        return Rows(
            self._column("ids", tail),
            self._column("class_of", tail),
            self._column("place_of", tail),
            b"".join((*self._names(), tail.names)),
            starts,
            self._column("contents", tail),
            self._column("sizes", tail),
            self._column("mtimes", tail),
        )

    def _column(self, name: str, tail: Rows) -> NDArray[Any]:
        files = self._of_files(getattr(self._before, name), getattr(self._new, name))
        last = getattr(tail, name)
        column = np.concatenate((files, last)) if len(last) else files
        return narrow(column) if name in ("class_of", "place_of", "sizes") else column

    def _of_files(self, before: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        return before[: self._files] if self._order is None else np.concatenate((before, new))[self._order]

    def _names(self) -> Iterator[memoryview]:
        """The names of the files. Those that follow each other before and now are one piece."""
        rows, count = self._order, len(self._before)
        if rows is None:
            rows = np.arange(self._files, dtype=np.int32)
        if not len(rows):
            return
        cuts = np.flatnonzero((rows[1:] != rows[:-1] + 1) | (rows[1:] == count)) + 1
        for first, last in zip(rows[[0, *cuts]].tolist(), rows[[*cuts - 1, -1]].tolist(), strict=True):
            rows_of, less = (self._before, 0) if first < count else (self._new, count)
            starts = rows_of.name_starts
            yield memoryview(rows_of.names)[int(starts[first - less]) : int(starts[last - less + 1])]
