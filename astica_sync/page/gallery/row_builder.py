"""What each image has by itself, in columns: rows are appended by folders or one by one, joined, and put in order."""

import os
from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import WithoutFile
from astica_sync.page.gallery.image_columns import CONTENT_BYTES, NO_CONTENT, Columns, image_id
from astica_sync.page.gallery.index_reader import FolderFiles


@dataclass(frozen=True, slots=True)
class Rows:
    """As in ``Columns``, where ``class_of`` and ``place_of`` may be other numbers."""

    ids: NDArray[np.uint64]
    class_of: NDArray[np.uint32]
    place_of: NDArray[np.uint32]
    names: bytes
    name_starts: NDArray[np.int64]
    contents: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    mtimes: NDArray[np.int64]

    @classmethod
    def of(cls, columns: Columns, class_of: NDArray[np.uint32], place_of: NDArray[np.uint32]) -> "Rows":
        """The rows of columns, with other numbers of their classes and places."""
        names, starts = columns.names, columns.name_starts
        return cls(columns.ids, class_of, place_of, names, starts, columns.contents, columns.sizes, columns.mtimes)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The first eight bytes of each content hash, as a number in this machine's order."""
        return np.ascontiguousarray(self.contents[:, :8]).view(">u8")[:, 0].astype(np.uint64)

    def join(self, more: "Rows") -> "Rows":
        """These rows, and then those."""
        return Rows(
            np.concatenate((self.ids, more.ids)),
            np.concatenate((self.class_of, more.class_of)),
            np.concatenate((self.place_of, more.place_of)),
            self.names + more.names,
            np.concatenate((self.name_starts, more.name_starts[1:] + len(self.names))),
            np.concatenate((self.contents, more.contents)),
            np.concatenate((self.sizes, more.sizes)),
            np.concatenate((self.mtimes, more.mtimes)),
        )

    def take(self, rows: NDArray[np.int64]) -> "Rows":
        """These rows, in this order. Names that follow each other are copied together."""
        starts = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(np.diff(self.name_starts)[rows], out=starts[1:])
        cuts = np.flatnonzero(np.diff(rows) != 1) + 1
        runs = zip(rows[[0, *cuts]].tolist(), rows[[*cuts - 1, -1]].tolist(), strict=True) if len(rows) else ()
        name_starts = self.name_starts
        return Rows(
            self.ids[rows],
            self.class_of[rows],
            self.place_of[rows],
            b"".join(self.names[name_starts[first] : name_starts[last + 1]] for first, last in runs),
            starts,
            self.contents[rows],
            self.sizes[rows],
            self.mtimes[rows],
        )


@dataclass(slots=True)
class RowsDraft:
    """Rows in the making."""

    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    class_of: "array[int]" = field(default_factory=lambda: array("I"))
    place_of: "array[int]" = field(default_factory=lambda: array("I"))
    names: list[bytes] = field(default_factory=list)
    lengths: "array[int]" = field(default_factory=lambda: array("I"))
    contents: list[bytes] = field(default_factory=list)
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    mtimes: "array[int]" = field(default_factory=lambda: array("q"))

    def add_folder(self, class_number: int, place: int, path: bytes, files: FolderFiles) -> None:
        """The files of the folder at ``path``, relative to the store."""
        first, _, below = path.partition(b"/")
        count = len(files.names)
        names = [below + b"/" + name for name in files.names] if below else files.names
        first += b"/"
        self.ids.extend([image_id(first + name) for name in names])
        self.class_of.extend(array("I", (class_number,)) * count)
        self.place_of.extend(array("I", (place,)) * count)
        self.names.append(b"".join(names))
        self.lengths.extend(map(len, names))
        self.contents.append(bytes.fromhex("".join(content or NO_CONTENT for content in files.contents)))
        self.sizes.extend(files.sizes)
        self.mtimes.extend(files.mtimes)

    def add_row(self, class_number: int, one: WithoutFile, content: str) -> None:
        """A sample that has no file in the store."""
        name = os.fsencode(one.path.partition("/")[2] or one.path) or f"#{one.sample_id}".encode()
        place = f"\0{one.shown.state}/{one.class_title}/{one.uid}/{one.sample_id}".encode("utf-8", "surrogateescape")
        self.ids.append(image_id(place))
        self.class_of.append(class_number)
        self.place_of.append(0)
        self.names.append(name)
        self.lengths.append(len(name))
        self.contents.append(bytes.fromhex(content or NO_CONTENT))
        self.sizes.append(one.size)
        self.mtimes.append(one.mtime_ns)

    def finish(self) -> Rows:
        starts = np.zeros(len(self.ids) + 1, np.int64)
        np.cumsum(np.frombuffer(self.lengths, np.uint32), out=starts[1:])
        return Rows(
            np.frombuffer(self.ids, np.uint64),
            np.frombuffer(self.class_of, np.uint32),
            np.frombuffer(self.place_of, np.uint32),
            b"".join(self.names),
            starts,
            np.frombuffer(b"".join(self.contents), np.uint8).reshape(-1, CONTENT_BYTES),
            np.frombuffer(self.sizes, np.int64),
            np.frombuffer(self.mtimes, np.int64),
        )
