"""Builds the columns of the gallery from the index, the states of a plan, and the journal's marks.

Rows of files that have not changed are carried over from the columns before, so that a change of a few files among a
million costs little. A property test compares the result with columns that are built from nothing.
"""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import (
    SENT_LATER,
    STATES,
    ImageState,
    ImageStates,
    Shown,
    WithoutFile,
)
from astica_sync.core.model import CONTENT_LENGTH, Problem, is_uid, make_scope
from astica_sync.local.db.index import Folder
from astica_sync.page.gallery.columns.row_builder import Rows, RowsDraft, RowsUpdate
from astica_sync.page.gallery.columns.shared_column import narrow
from astica_sync.page.gallery.image_columns import NO_CONTENT, Columns, first_numbers, image_id, is_among, sample_key
from astica_sync.page.gallery.index_reader import FolderFiles, IndexReader

NO_CLASS = ""
"""The title of what is in no class: a problem file in the store itself."""
APART = (ImageState.HELD_OUT,)
"""States of images that are listed whatever the store and the service have."""
ONE_FORMAT = "delete one file of the two, and the next push removes its sample"
_POSITION = {state: number for number, state in enumerate(STATES)}

_PIECE = 100_000
"""Rows that are worked on at a time where an array for all of them would be large."""

KeysOf = Callable[[NDArray[np.integer] | slice], NDArray[np.uint64]]
"""The keys of some rows."""
MarkPages = Iterable[tuple[Sequence[str], Sequence[str]]]


@dataclass(frozen=True, slots=True)
class ColumnOverlay:
    """What is known besides the files of the store.

    ``states`` are what the plan says of single samples. ``marked`` gives the uids of the journal's marks in pages, read
    only where the plan leaves some uploads for later. ``elsewhere`` gives what only the backup or a held-out folder
    has, for the keys of the samples in the store. ``recipes`` are those that may be a part of uids, see ``make_scope``;
    in the keys is none. ``in_two_formats`` are the pairs of files that are one image in two formats, both sent.
    """

    states: ImageStates
    model_id: int
    marked: Callable[[], MarkPages] = lambda: ()
    elsewhere: Callable[[NDArray[np.uint64]], Iterable[WithoutFile]] = lambda _: ()
    recipes: Collection[str] = ("",)
    in_two_formats: Collection[tuple[str, str]] = ()

    def scopes_of(self, title: str) -> list[str]:
        """The second parts of all uids in a class."""
        return [make_scope(self.model_id, title, recipe) for recipe in self.recipes]


def build_columns(index: IndexReader, overlay: ColumnOverlay) -> Columns:
    """The columns of the store as the index has it."""
    folders, draft = _Folders.of(index.folders().values()), RowsDraft()
    with index.reading_all():
        for folder in folders.in_order:
            for files in index.files_in(folder.folder_id):
                folders.add(draft, folder, files)
    return _finish(draft, folders, overlay, index.problems())


def update_columns(
    before: Columns, changed: Iterable[tuple[bytes, bytes]], index: IndexReader, overlay: ColumnOverlay
) -> Columns:
    """What ``build_columns`` returns, where the index has no other rows than when ``before`` was made but for these
    files, each a folder and a name."""
    names: dict[bytes, list[bytes]] = {}
    for path, name in changed:
        names.setdefault(path, []).append(name)
    gone = _rows_of(before, names)
    kept = np.delete(np.arange(before.files, dtype=np.int32), gone)
    folders, draft, at = _Folders.of(index.folders().values()), RowsDraft(), list[int]()
    order = _FileOrder(before, kept)
    for folder in folders.in_order:
        for files in index.files_at(folder.folder_id, sorted(names.get(folder.path, ()))):
            folders.add(draft, folder, files)
            at += order.find(folder, files.names)
    taken = None
    if len(gone) or at:
        # The rows of the draft are numbered after all those before.
        taken = np.insert(kept, at, np.arange(len(before), len(before) + len(at), dtype=np.int32))
    del kept, order
    rows = RowsUpdate(folders.renumber(before), before.files, draft.finish(), taken)
    return _finish(rows, folders, overlay, index.problems(), _Before(before, taken))


def columns_of_files(found: Iterable[tuple[str, bytes, FolderFiles]], overlay: ColumnOverlay) -> Columns:
    """The columns of the files of some class folders alone, each with its class and its name."""
    listed = [(Folder(0, path, title, False), files) for title, path, files in found]
    folders, draft = _Folders.of(folder for folder, _ in listed), RowsDraft()
    for folder, files in listed:
        folders.add(draft, folder, files)
    return _finish(draft, folders, overlay, ())


@dataclass(frozen=True, slots=True)
class _Folders:
    """The folders of the store in the order of their rows, and the numbers that drafts have for classes and places."""

    in_order: list[Folder]
    titles: list[str]
    places: dict[bytes, int]

    @classmethod
    def of(cls, folders: Iterable[Folder]) -> "_Folders":
        in_order = sorted(folders, key=lambda folder: (folder.class_title or NO_CLASS, folder.path))
        titles = sorted({NO_CLASS, *(folder.class_title or NO_CLASS for folder in in_order)})
        places = dict.fromkeys(folder.path.partition(b"/")[0] for folder in in_order)
        return cls(in_order, titles, {place: number for number, place in enumerate(places)})

    def add(self, draft: RowsDraft, folder: Folder, files: FolderFiles) -> None:
        place = self.places[folder.path.partition(b"/")[0]]
        draft.add_folder(bisect_left(self.titles, folder.class_title or NO_CLASS), place, folder.path, files)

    def renumber(self, columns: Columns) -> Rows:
        """The rows of columns with the numbers of drafts; those of what is in no folder now mean nothing."""
        numbers = {title: number for number, title in enumerate(self.titles)}
        class_of = _renumber(columns.class_of, [numbers.get(title, 0) for title in columns.titles])
        place_of = _renumber(columns.place_of, [self.places.get(place, 0) for place in columns.places])
        return Rows.of(columns, class_of, place_of)


@dataclass(frozen=True, slots=True)
class _Before:
    """Earlier columns, and which of their rows the rows of files are now; see ``RowsUpdate``."""

    columns: Columns
    taken: NDArray[np.int32] | None

    def carry(self, order: NDArray[np.int32]) -> NDArray[np.int32]:
        """The rows of now that were there before, in an earlier order of them."""
        count = len(self.columns)
        files = np.arange(self.columns.files, dtype=np.int32) if self.taken is None else self.taken
        now = np.full(count, -1, np.int32)
        was_there = files < count
        now[files[was_there]] = np.arange(len(files), dtype=np.int32)[was_there]
        carried = now[order]
        return carried[carried >= 0]


def _renumber(numbers: NDArray[np.integer], now: Sequence[int]) -> NDArray[np.integer]:
    """What each number is now; the same array where that changes none."""
    return numbers if list(now) == list(range(len(now))) else narrow(np.array(now, np.uint32)[numbers])


def _rows_of(columns: Columns, names: dict[bytes, list[bytes]]) -> NDArray[np.int32]:
    """The rows of the files with these names in these folders, where there are any."""
    ids = np.array([image_id(path + b"/" + name) for path in names for name in names[path]], np.uint64)
    at = np.searchsorted(columns.ids, ids, sorter=columns.order_of_ids)
    inside = at < len(columns)
    found = columns.order_of_ids[at[inside]]
    rows: NDArray[np.int32] = found[columns.ids[found] == ids[inside]]
    return rows


class _FileOrder:
    """Where files belong among some rows, which are in the order of classes, folders and names."""

    def __init__(self, columns: Columns, rows: NDArray[np.int32]) -> None:
        self._columns, self._rows = columns, rows

    def find(self, folder: Folder, names: Sequence[bytes]) -> Iterator[int]:
        """The positions for the names, which are in order."""
        place, count = (folder.class_title or NO_CLASS, folder.path), range(len(self._rows))
        start = bisect_left(count, place, key=self._folder)
        end = bisect_right(count, place, start, key=self._folder)
        for name in names:
            start = bisect_left(count, name, start, end, key=self._name)
            yield start

    def _folder(self, at: int) -> tuple[str, bytes]:
        row = int(self._rows[at])
        return self._columns.title(row), self._columns.file(row)[0]

    def _name(self, at: int) -> bytes:
        return self._columns.file(int(self._rows[at]))[1]


def _finish(
    draft: RowsDraft | RowsUpdate,
    folders: _Folders,
    overlay: ColumnOverlay,
    problems: Iterable[Problem],
    before: _Before | None = None,
) -> Columns:
    """The columns of the files of a draft, and of what has no file, with their states. ``before`` are earlier columns
    with almost the same files: what is the same in them is used again."""
    states, files = overlay.states, len(draft)
    keys = _sample_keys(draft, folders.titles, overlay.model_id)
    named = {(one.uid, one.class_title) for one in states.without_file}
    others = (
        one for one in overlay.elsewhere(keys) if (one.uid, one.class_title) not in named or one.shown.state in APART
    )
    missing = [*states.without_file, *others]
    if not states.has_later:
        keys = np.zeros(0, np.uint64)
    for one in missing:
        draft.add_row(one, one.uid[:CONTENT_LENGTH] if is_uid(one.uid) else "")
    rows = draft.finish()
    titles = {folder.class_title for folder in folders.in_order if folder.class_title is not None}
    titles |= {one.class_title for one in missing}
    if 0 in rows.class_of[:files]:
        titles.add(NO_CLASS)
    numbers = {title: number for number, title in enumerate(sorted(titles))}
    class_of = np.array([numbers.get(title, 0) for title in folders.titles], np.uint32)[rows.class_of]
    class_of[files:] = [numbers[one.class_title] for one in missing]
    class_of = narrow(class_of)
    if before is not None and np.array_equal(class_of, before.columns.class_of):
        class_of = before.columns.class_of
    state_of = np.full(len(rows), _POSITION[states.usual.state], np.uint8)
    state_of[files:] = [_POSITION[one.shown.state] for one in missing]
    columns = Columns(
        titles=tuple(numbers),
        places=tuple(folders.places),
        ids=rows.ids,
        class_of=class_of,
        place_of=rows.place_of,
        state_of=state_of,
        names=rows.names,
        contents=rows.contents,
        sizes=rows.sizes,
        mtimes=rows.mtimes,
        files=files,
        notes={row: one.shown for row, one in enumerate(missing, files)},
        sample_ids={row: one.sample_id for row, one in enumerate(missing, files) if one.sample_id},
        **_orders(rows, before),
    )
    _set_states(columns, states, problems, overlay)
    if states.has_later:
        _set_later(columns, states, keys, overlay)
    _note_two_formats(columns, states, overlay.in_two_formats)
    return columns


def _sample_keys(draft: RowsDraft | RowsUpdate, titles: list[str], model_id: int) -> NDArray[np.uint64]:
    """The key of each file's sample, see ``sample_key``."""
    scopes = np.array([sample_key(NO_CONTENT, make_scope(model_id, title)) for title in titles], np.uint64)
    keys, classes = draft.file_keys(), draft.file_classes()
    for start in range(0, len(keys), _PIECE):
        keys[start : start + _PIECE] ^= scopes[classes[start : start + _PIECE]]
    return keys


def _orders(rows: Rows, before: _Before | None) -> dict[str, Any]:
    """The orders of the rows, by the names of the columns that have them."""
    if before is not None and rows.ids is before.columns.ids:
        same = before.columns
        return {"order_of_ids": same.order_of_ids, "order_of_contents": same.order_of_contents}
    return {
        "order_of_ids": _order(
            len(rows), lambda some: rows.ids[some], before.carry(before.columns.order_of_ids) if before else None
        ),
        "order_of_contents": _order(
            len(rows),
            lambda some: first_numbers(rows.contents[some]),
            before.carry(before.columns.order_of_contents) if before else None,
        ),
    }


def _order(count: int, keys_of: KeysOf, carried: NDArray[np.int32] | None) -> NDArray[np.int32]:
    """The rows in the order of their keys, those with the same key in their own. ``carried`` are most of them in this
    order: the others are put among these, which takes a twentieth of the time, and the keys are looked up in pieces."""
    if carried is None:
        return np.argsort(keys_of(slice(None)), kind="stable").astype(np.int32)
    is_new = np.ones(count, bool)
    is_new[carried] = False
    new = np.flatnonzero(is_new).astype(np.int32)
    keys = keys_of(new)
    by_key = np.argsort(keys, kind="stable")
    order = np.insert(carried, _search(carried, keys_of, keys[by_key]), new[by_key])
    same = [
        start + np.flatnonzero(keys[1:] == keys[:-1])
        for start in range(0, count, _PIECE)
        for keys in (keys_of(order[start : start + _PIECE + 1]),)
    ]
    if sum(map(len, same)):
        places = np.union1d(np.concatenate(same), np.concatenate(same) + 1)
        tied = order[places]
        order[places] = tied[np.lexsort((tied, keys_of(tied)))]
    return order


def _search(carried: NDArray[np.int32], keys_of: KeysOf, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where the wanted keys belong among those of ``carried``, which are in order. (numpy's own ``searchsorted`` needs
    all of them as an array.)"""
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(carried))
    while (is_open := low < high).any():
        middle = (low + high) // 2
        less = keys_of(carried[np.minimum(middle, len(carried) - 1)]) < wanted
        low = np.where(is_open & less, middle + 1, low)
        high = np.where(is_open & ~less, middle, high)
    return low


def _set_states(columns: Columns, states: ImageStates, problems: Iterable[Problem], overlay: ColumnOverlay) -> None:
    for number, title in enumerate(columns.titles):
        of_class = states.by_class.get(title)
        if of_class is not None:
            state_of = columns.state_of[: columns.files]
            state_of[columns.class_of[: columns.files] == number] = _POSITION[of_class.state]
    scopes = {scope: number for number, title in enumerate(columns.titles) for scope in overlay.scopes_of(title)}
    for uid, shown in states.by_uid.items():
        class_number = scopes.get(uid[CONTENT_LENGTH + 1 :])
        for row in columns.with_content(uid[:CONTENT_LENGTH]):
            if row < columns.files and columns.class_of[row] == class_number:
                columns.state_of[row] = _POSITION[shown.state]
                columns.notes[row] = shown
    shown_problems = {one.path: Shown(ImageState.PROBLEM, one.reason) for one in problems} | states.problems
    for path, shown in shown_problems.items():
        place = os.fsencode(path)
        found = columns.find_id(image_id(place if b"/" in place else b"/" + place))
        if found is not None:
            columns.state_of[found] = _POSITION[ImageState.PROBLEM]
            columns.notes[found] = shown


def _set_later(columns: Columns, states: ImageStates, keys: NDArray[np.uint64], overlay: ColumnOverlay) -> None:
    """Tells new samples, which the plan leaves for later, from those in place: these have a mark."""
    marked = array("Q")
    in_keys = {
        scope: make_scope(overlay.model_id, title) for title in columns.titles for scope in overlay.scopes_of(title)
    }
    for uids, _ in overlay.marked():
        scopes = [uid[CONTENT_LENGTH + 1 :] for uid in uids]
        marked.extend([sample_key(uid, in_keys.get(scope, scope)) for uid, scope in zip(uids, scopes, strict=True)])
    known = np.frombuffer(marked, np.uint64) if marked else np.zeros(0, np.uint64)
    usual = columns.state_of[: columns.files] == _POSITION[states.usual.state]
    new = usual & ~is_among(keys, known)
    noted = [row for row in columns.notes if row < columns.files]
    new[noted] = False
    columns.state_of[: columns.files][new] = _POSITION[ImageState.NEW]


def _note_two_formats(columns: Columns, states: ImageStates, pairs: Iterable[tuple[str, str]]) -> None:
    """Says of both files of a pair what ``status`` says; their state stays."""
    for converted, plain in pairs:
        names = " and ".join(os.fsencode(path).decode("utf-8", "backslashreplace") for path in (converted, plain))
        for path in (converted, plain):
            row = columns.find_id(image_id(os.fsencode(path)))
            if row is None:
                continue
            usual = columns.state(row) is states.usual.state
            before = columns.notes.get(row, states.usual if usual else Shown(columns.state(row), SENT_LATER))
            remedy = "; ".join(filter(None, (before.remedy, ONE_FORMAT)))
            columns.notes[row] = replace(before, reason=f"sent in two formats, {names}; {before.reason}", remedy=remedy)
