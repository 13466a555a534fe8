"""Finds the groups of images to sort out, in a thread of its own, and remembers which the user wants to keep."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import xxhash

from astica_sync.core.gallery.image_state import STATES, ImageState
from astica_sync.core.recipe import Recipe
from astica_sync.errors import AsticaSyncError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import append_jsonl, read_jsonl
from astica_sync.page.gallery.held_out_folders import HeldOutFolders
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.gallery.refresh_gallery import Gallery
from astica_sync.page.gallery_follower import GalleryThread
from astica_sync.page.queues.group_likes import group_likes

MOST_IMAGES = 20_000
"""Of a larger store so many are compared, evenly chosen, so that the queues are there within minutes."""


class Queue(StrEnum):
    """Each group is in one queue, the first one that fits."""

    LEAKS = "leaks"
    SEVERAL = "several"
    ACROSS = "across"
    DUPLICATES = "duplicates"


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """Images that show nearly the same picture, as ids. ``key`` is the same as long as they are the same images in the
    same classes."""

    key: str
    queue: Queue
    images: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QueueState:
    """How far the finder is. ``trouble`` says why only the same bytes are found, "" where similar ones are too."""

    revision: int = 0
    done: int = 0
    total: int = 0
    trouble: str = ""
    left_out: int = 0
    groups: tuple[ImageGroup, ...] = field(default=())


class _Closed(Exception):
    """The page is closed while images are compared."""


class QueueFinder:
    """Follows the gallery, from the first call of ``follow`` on. Other methods are for any thread."""

    def __init__(self, store: Path, cache: Path, kept: Path, held_out: HeldOutFolders, recipe: Recipe) -> None:
        """``cache`` has the fingerprints, ``kept`` what the user wants to keep; ``recipe`` says how images are
        converted."""
        self._store, self._cache, self._kept_file, self._held_out = store, cache, kept, held_out
        self._recipe = recipe
        self._files = FileSystem(store)
        self._thread = GalleryThread("queues", self._work)
        self._compared: tuple[frozenset[str], list[list[str]], str] = frozenset(), [], ""
        self.state: QueueState = QueueState()

    def follow(self, gallery: Gallery) -> None:
        """Looks at this gallery, unless that is done or a newer one is followed."""
        self._thread.follow(gallery)

    def close(self) -> None:
        """Ends the thread, with the comparison that is under way."""
        self._thread.close()

    def kept(self) -> set[str]:
        """The keys of the groups that the user wants to keep."""
        kept: set[str] = set()
        try:
            for line in read_jsonl(self._files, self._kept_file):
                key = str(line.get("group"))
                kept = kept | {key} if line.get("keep") else kept - {key}
        except (OSError, AsticaSyncError):
            return kept
        return kept

    def keep(self, key: str, *, keep: bool) -> None:
        """
        Raises:
            OSError: it cannot be noted.
        """
        self._files.make_folder(self._kept_file.parent)
        append_jsonl(self._files, self._kept_file, [{"group": key, "keep": keep}])

    def _work(self) -> None:
        for gallery in self._thread.galleries():
            try:
                self._find(gallery)
            except _Closed:
                return

    def _find(self, gallery: Gallery) -> None:
        columns = gallery.columns
        rows, left_out = choose_rows(columns, MOST_IMAGES)
        images = {columns.content(row): self._file_of(columns, row) for row in rows}
        self.state = replace(self.state, done=0, total=len(images), left_out=left_out)
        if self._compared[0] != images.keys():
            trouble, similar = "", list[list[str]]()
            there = [(content, path) for content, path in images.items() if path is not None]
            try:
                similar = group_likes(there, self._cache, self._recipe, self._note_progress)
            except AsticaSyncError as error:
                trouble = error.text_with_hint
            self._compared = frozenset(images), similar, trouble
        _, similar, trouble = self._compared
        groups = tuple(make_groups(columns, rows, similar))
        self.state = QueueState(gallery.revision, len(images), len(images), trouble, left_out, groups)

    def _file_of(self, columns: Columns, row: int) -> Path | None:
        return self._store / columns.path(row) if row < columns.files else self._held_out.file_of(columns.content(row))

    def _note_progress(self, done: int) -> None:
        if self._thread.closed:
            raise _Closed
        self.state = replace(self.state, done=done)


def choose_rows(columns: Columns, most: int) -> tuple[list[int], int]:
    """The images of the store and of the held-out folders that are compared, and how many are left out."""
    position = STATES.index
    good = np.arange(len(columns)) < columns.files
    good &= columns.state_of != position(ImageState.PROBLEM)
    good |= columns.state_of == position(ImageState.HELD_OUT)
    rows = np.flatnonzero(good & columns.have_content())
    if len(rows) <= most:
        return rows.tolist(), 0
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)].tolist(), len(rows) - most


def make_groups(columns: Columns, rows: Sequence[int], similar: Iterable[Sequence[str]]) -> list[ImageGroup]:
    """The groups of rows that show the same picture: the same bytes, or contents that are ``similar``."""
    group_of: dict[str, int] = {}
    for number, contents in enumerate(similar):
        group_of.update(dict.fromkeys(contents, number))
    members: dict[int | str, list[int]] = {}
    for row in rows:
        content = columns.content(row)
        members.setdefault(group_of.get(content, content), []).append(row)
    groups = [_group(columns, own) for own in members.values() if len(own) > 1]
    found = [group for group in groups if group is not None]
    return sorted(found, key=lambda group: (list(Queue).index(group.queue), -len(group.images), group.key))


def _group(columns: Columns, rows: list[int]) -> ImageGroup | None:
    held_out = [row for row in rows if columns.state(row) is ImageState.HELD_OUT]
    titles = {columns.title(row) for row in rows}
    if len(held_out) == len(rows):
        # Twins in the held-out folder are no concern of the store.
        return None
    if held_out:
        queue = Queue.LEAKS
    elif len(titles) > 1:
        same = len({columns.content(row) for row in rows}) == 1
        queue = Queue.SEVERAL if same else Queue.ACROSS
    else:
        queue = Queue.DUPLICATES
    said = sorted(f"{columns.content(row)}/{columns.title(row)}/{row in held_out}" for row in rows)
    key = xxhash.xxh3_64_hexdigest("\0".join(said).encode("utf-8", "surrogateescape"))
    ordered = sorted(rows, key=lambda row: (row not in held_out, columns.title(row), columns.name(row)))
    return ImageGroup(key, queue, tuple(int(columns.ids[row]) for row in ordered))
