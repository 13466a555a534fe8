"""The images of one store in columns: a million of them as objects would take a gigabyte.

Rows never move: row 17 is the same image as long as this value lives. A refresh makes a new one.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import STATES, ImageState, Shown
from astica_sync.page.gallery.columns.shared_column import SharedColumn, SharedNames

NO_CONTENT = "0" * 32
CONTENT_BYTES = 16
HAS_FILE, IN_BACKUP, ON_SERVICE = "file", "backup", "service"


def image_id(place: bytes) -> int:
    """The id of the image at ``class folder/path``: it names an image and is no path."""
    return xxhash.xxh3_64_intdigest(place)


def sample_key(content: str, scope: str) -> int:
    """A number of 64 bits for a sample; two samples of one store do not share it by chance."""
    number = int(scope, 16)
    return int(content[:16], 16) ^ (number << 32 | number)


def first_numbers(contents: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first eight bytes of each content hash, as a number."""
    return np.ascontiguousarray(contents).view(">u8")[:, 0].astype(np.uint64)


def _are_any(contents: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(contents.any(axis=1))


def is_among(keys: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of the keys are among the known ones. (numpy's own ``isin`` takes seconds for a million.)"""
    if not len(keys) or not len(known):
        return np.zeros(len(keys), bool)
    ordered = np.sort(known)
    places = np.searchsorted(ordered, keys)
    places[places == len(ordered)] = 0
    found: NDArray[np.bool_] = ordered[places] == keys
    return found


@dataclass(frozen=True, slots=True)
class Columns:
    """One entry for each image.

    ``places`` are the first-level folders of the store and ``place_of`` the one of each row; ``class_of`` is a position
    in ``titles``, which is sorted, and ``state_of`` one in ``STATES``. ``names`` holds the paths below the class
    folders. What is a ``Shared…`` is in memory once where an earlier gallery has the same.

    Rows from ``files`` on have no file in the store. ``notes`` has what is to be said of single rows. Columns of whole
    numbers have as few bytes as their largest one needs.
    """

    titles: tuple[str, ...]
    places: tuple[bytes, ...]
    ids: NDArray[np.uint64]
    class_of: NDArray[np.integer]
    place_of: NDArray[np.integer]
    state_of: NDArray[np.uint8]
    names: SharedNames
    contents: SharedColumn
    sizes: SharedColumn
    mtimes: SharedColumn
    files: int
    notes: dict[int, Shown]
    sample_ids: dict[int, int]
    order_of_ids: NDArray[np.int32]
    order_of_contents: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def have_content(self) -> NDArray[np.bool_]:
        """Which rows have a content hash."""
        return self.contents.derive(_are_any)

    def name(self, row: int) -> str:
        """The path below the class folder."""
        return os.fsdecode(self.names[row])

    def path(self, row: int) -> str:
        """The path relative to the store; "" where there is no file."""
        return os.fsdecode(self.raw_path(row)) if row < self.files else ""

    def raw_path(self, row: int) -> bytes:
        """The path of a file, with a slash before what is in no folder."""
        return self.places[int(self.place_of[row])] + b"/" + self.names[row]

    def file(self, row: int) -> tuple[bytes, bytes]:
        """The folder of a file, relative to the store, and its name."""
        folder, _, name = self.raw_path(row).rpartition(b"/")
        return folder, name

    def title(self, row: int) -> str:
        return self.titles[int(self.class_of[row])]

    def state(self, row: int) -> ImageState:
        return STATES[int(self.state_of[row])]

    def content(self, row: int) -> str:
        """The content hash; "" where there is none."""
        text = self.contents[row].tobytes().hex()
        return "" if text == NO_CONTENT else text

    def find(self, image: str) -> int | None:
        """The row of an id of 16 hex digits."""
        try:
            return self.find_id(int(image, 16))
        except (ValueError, OverflowError):
            return None

    def find_id(self, image: int) -> int | None:
        """The row of an id."""
        number = np.uint64(image)
        at = int(np.searchsorted(self.ids, number, sorter=self.order_of_ids))
        if at < len(self) and self.ids[self.order_of_ids[at]] == number:
            return int(self.order_of_ids[at])
        return None

    def with_content(self, content: str) -> Iterator[int]:
        """The rows of one content hash, those with a file first."""
        key, rows = bytes.fromhex(content), self.order_of_contents
        # The order goes by the first half of the hash.
        at = bisect_left(rows, key[:8], key=lambda row: self.contents[row][:8].tobytes())
        found = []
        while at < len(rows) and self.contents[rows[at]][:8].tobytes() == key[:8]:
            if self.contents[rows[at]].tobytes() == key:
                found.append(int(rows[at]))
            at += 1
        yield from sorted(found)
