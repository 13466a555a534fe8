"""What each image has by itself, in columns: rows are appended by folders or one by one, and put among others.

What a column has of each file (name, content, size, time) is shared with the rows before, see ``shared_column``.
"""

import os
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import WithoutFile
from astica_sync.page.gallery.columns.shared_column import SharedColumn, SharedNames, is_worn, narrow, starts_of, take
from astica_sync.page.gallery.image_columns import CONTENT_BYTES, NO_CONTENT, Columns, first_numbers, image_id
from astica_sync.page.gallery.index_reader import FolderFiles

_PIECE = 100_000
"""Rows of which what is made on the way is in memory at a time."""


@dataclass(frozen=True, slots=True)
class Rows:
    """As in ``Columns``, where ``class_of`` and ``place_of`` may be other numbers."""

    ids: NDArray[np.uint64]
    class_of: NDArray[np.integer]
    place_of: NDArray[np.integer]
    names: SharedNames
    contents: SharedColumn
    sizes: SharedColumn
    mtimes: SharedColumn

    @classmethod
    def of(cls, columns: Columns, class_of: NDArray[np.integer], place_of: NDArray[np.integer]) -> "Rows":
        """The rows of columns, with other numbers of their classes and places."""
        return cls(columns.ids, class_of, place_of, columns.names, columns.contents, columns.sizes, columns.mtimes)

    def __len__(self) -> int:
        return len(self.ids)

    def ends_with(self, tail: "Rows", start: int) -> bool:
        """Whether the rows from ``start`` on are these, whatever their classes."""
        if not np.array_equal(self.ids[start:], tail.ids):
            return False
        names, lengths = self.names.between(start, len(self))
        ends, end_lengths = tail.names.between(0, len(tail))
        return (
            names == ends
            and np.array_equal(lengths, end_lengths)
            and all(
                np.array_equal(getattr(self, name)[start:], getattr(tail, name)[:])
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
        """The numbers of the content hashes of the rows so far, see ``first_numbers``."""
        return np.frombuffer(self.contents, ">u8")[::2].astype(np.uint64)

    def finish(self) -> Rows:
        """The rows. Nothing can be added any more."""
        starts = starts_of(np.frombuffer(self.lengths, np.uint32))
        names, self.names = bytes(self.names), bytearray()
        return Rows(
            np.frombuffer(self.ids, np.uint64),
            np.frombuffer(self.class_of, np.uint32),
            narrow(np.frombuffer(self.place_of, np.uint32)),
            SharedNames(names, starts),
            SharedColumn(np.frombuffer(self.contents, np.uint8).reshape(-1, CONTENT_BYTES)),
            SharedColumn(narrow(np.frombuffer(self.sizes, np.int64))),
            SharedColumn(np.frombuffer(self.mtimes, np.int64)),
        )


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
        before, new = self._before.contents, self._new.contents
        keys = np.empty(len(self), np.uint64)
        for start in range(0, len(keys), _PIECE):
            piece = slice(start, min(start + _PIECE, len(keys)))
            if self._order is None:
                keys[piece] = first_numbers(before[piece])
            else:
                rows, count = self._order[piece], len(before)
                is_new = rows >= count
                keys[piece][is_new] = first_numbers(new[rows[is_new] - count])
                keys[piece][~is_new] = first_numbers(before[rows[~is_new]])
        return keys

    def add_row(self, one: WithoutFile, content: str) -> None:
        """As of a draft."""
        self._tail.add_row(one, content)

    def finish(self) -> Rows:
        """The rows; where all are as before, they have the arrays of those before. Nothing can be added any more."""
        before, new, tail = self._before, self._new, self._tail.finish()
        if self._order is None and before.ends_with(tail, self._files):
            return before
        order = np.arange(self._files, dtype=np.int32) if self._order is None else self._order
        names, *columns = _share(before, new, tail, order)
        return Rows(
            self._column("ids", tail),
            self._column("class_of", tail),
            self._column("place_of", tail),
            names,
            *columns,
        )

    def _column(self, name: str, tail: Rows) -> NDArray[Any]:
        files = self._of_files(getattr(self._before, name), getattr(self._new, name))
        last = getattr(tail, name)
        column = np.concatenate((files, last)) if len(last) else files
        return narrow(column) if name in ("class_of", "place_of") else column

    def _of_files(self, before: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        if self._order is None:
            return before[: self._files]
        return take(before, new, self._order)


def _share(
    before: Rows, new: Rows, tail: Rows, order: NDArray[np.int32]
) -> tuple[SharedNames, SharedColumn, SharedColumn, SharedColumn]:
    """Names, contents, sizes and times in this order (see ``RowsUpdate``), and then those of the tail. They have the
    large parts of those before."""
    columns = before.contents, before.sizes, before.mtimes
    if is_worn(*before.contents.sizes, len(before)):
        for each in (before.names, *columns):
            each.put_together()
    base, count = before.contents.sizes[0], len(before)
    files = np.zeros(len(order), np.int32)
    is_old = order < count
    files[is_old] = before.contents.slots_of(order[is_old])
    # The small parts have what is left of those before, the new rows and the tail.
    left = np.flatnonzero(is_old & (files >= base))
    files[left] = np.arange(base, base + len(left))
    files[~is_old] = order[~is_old] + (base + len(left) - count)
    start = base + len(left) + len(new)
    slots = np.concatenate((files, np.arange(start, start + len(tail), dtype=np.int32)))
    rows = order[left]

    def join(column: SharedColumn, name: str) -> SharedColumn:
        small = np.concatenate((column[rows], getattr(new, name).whole(), getattr(tail, name).whole()))
        return column.update(small, slots)

    names = [before.names[row] for row in rows.tolist()]
    names += [each.names[row] for each in (new, tail) for row in range(len(each))]
    contents, sizes, mtimes = columns
    return (
        before.names.update(names, slots),
        join(contents, "contents"),
        join(sizes, "sizes"),
        join(mtimes, "mtimes"),
    )
