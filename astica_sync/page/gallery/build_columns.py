"""Builds the columns of the gallery from the index, the states of a plan, and the journal's marks."""

import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import (
    STATES,
    ImageState,
    ImageStates,
    Shown,
    WithoutFile,
)
from astica_sync.core.model import CONTENT_LENGTH, is_uid, make_scope
from astica_sync.page.gallery.image_columns import CONTENT_BYTES, NO_CONTENT, Columns, image_id, is_among, sample_key
from astica_sync.page.gallery.index_reader import FolderFiles, IndexReader

NO_CLASS = ""
"""The title of what is in no class: a problem file in the store itself."""
APART = (ImageState.HELD_OUT,)
"""States of images that are listed whatever the store and the service have."""
_POSITION = {state: number for number, state in enumerate(STATES)}


@dataclass(slots=True)
class _Draft:
    """Columns in the making."""

    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    class_of: "array[int]" = field(default_factory=lambda: array("I"))
    place_of: "array[int]" = field(default_factory=lambda: array("I"))
    names: list[bytes] = field(default_factory=list)
    lengths: "array[int]" = field(default_factory=lambda: array("I"))
    contents: list[bytes] = field(default_factory=list)
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    mtimes: "array[int]" = field(default_factory=lambda: array("q"))
    problem_rows: dict[int, str] = field(default_factory=dict)

    def add_folder(self, class_number: int, place: int, first: bytes, below: bytes, files: FolderFiles) -> None:
        start, count = len(self.ids), len(files.names)
        names = [below + name for name in files.names] if below else files.names
        self.ids.extend([image_id(first + name) for name in names])
        self.class_of.extend(array("I", (class_number,)) * count)
        self.place_of.extend(array("I", (place,)) * count)
        self.names.append(b"".join(names))
        self.lengths.extend(map(len, names))
        if None in files.contents:
            self.contents.append(bytes.fromhex("".join(content or NO_CONTENT for content in files.contents)))
            rows = zip(range(start, start + count), files.reasons, strict=True)
            self.problem_rows.update((row, reason) for row, reason in rows if reason is not None)
        else:
            self.contents.append(bytes.fromhex("".join(files.contents)))  # type: ignore[arg-type]
        self.sizes.extend(files.sizes)
        self.mtimes.extend(files.mtimes)

    def add_row(self, class_number: int, place: bytes, one: WithoutFile, content: str) -> int:
        name = os.fsencode(one.path.partition("/")[2] or one.path) or f"#{one.sample_id}".encode()
        self.ids.append(image_id(place))
        self.class_of.append(class_number)
        self.place_of.append(0)
        self.names.append(name)
        self.lengths.append(len(name))
        self.contents.append(bytes.fromhex(content or NO_CONTENT))
        self.sizes.append(one.size)
        self.mtimes.append(one.mtime_ns)
        return len(self.ids) - 1


def build_columns(
    index: IndexReader,
    states: ImageStates,
    model_id: int,
    *,
    marked: Callable[[], Iterable[tuple[Sequence[str], Sequence[str]]]] = lambda: (),
    extra_titles: Iterable[str] = (),
    backup_only: Callable[[NDArray[np.uint64]], Iterable[WithoutFile]] = lambda _: (),
) -> Columns:
    """The columns of the store as the index has it.

    Args:
        states: what the plan says of single samples.
        marked: the uids of the journal's marks in pages, read only where the plan leaves some uploads for later.
        extra_titles: classes that have no file.
        backup_only: gives the samples that only the backup has, for the keys of those in the store.
    """
    folders = sorted(index.folders().values(), key=lambda folder: (folder.class_title or NO_CLASS, folder.path))
    draft, places, titles = _Draft(), dict[bytes, int](), dict[str, int]()
    for folder in folders:
        first, _, below = folder.path.partition(b"/")
        place = places.setdefault(first, len(places))
        if folder.class_title is not None:
            titles.setdefault(folder.class_title, len(titles))
        for files in index.files_in(folder.folder_id):
            number = titles.setdefault(folder.class_title or NO_CLASS, len(titles))
            draft.add_folder(number, place, first + b"/", below + b"/" if below else b"", files)
    keys = _sample_keys(draft, list(titles), model_id)
    named = {(one.uid, one.class_title) for one in states.without_file}
    missing = [*states.without_file]
    others = (one for one in backup_only(keys) if (one.uid, one.class_title) not in named or one.shown.state in APART)
    missing += others
    for title in (*extra_titles, *(one.class_title for one in missing)):
        titles.setdefault(title, len(titles))
    columns = _finish(draft, titles, tuple(places), states, missing)
    _set_states(columns, states, draft.problem_rows, model_id)
    if states.has_later:
        _set_later(columns, states, keys, marked())
    return columns


def columns_of_files(folders: Iterable[tuple[str, bytes, FolderFiles]], states: ImageStates, model_id: int) -> Columns:
    """The columns of the files of some class folders alone, each with its class and its name."""
    draft, places, titles = _Draft(), dict[bytes, int](), dict[str, int]()
    for title, folder, files in folders:
        number, place = titles.setdefault(title, len(titles)), places.setdefault(folder, len(places))
        draft.add_folder(number, place, folder + b"/", b"", files)
    columns = _finish(draft, titles, tuple(places), states, ())
    _set_states(columns, states, draft.problem_rows, model_id)
    return columns


def _sample_keys(draft: _Draft, titles: list[str], model_id: int) -> NDArray[np.uint64]:
    """The key of each file's sample, see ``sample_key``."""
    scopes = np.array([sample_key(NO_CONTENT, make_scope(model_id, title)) for title in titles], np.uint64)
    contents = np.frombuffer(b"".join(draft.contents), np.uint8).reshape(-1, CONTENT_BYTES)
    return _keys(contents) ^ scopes[np.frombuffer(draft.class_of, np.uint32)] if len(contents) else _keys(contents)


def _finish(
    draft: _Draft,
    titles: dict[str, int],
    places: tuple[bytes, ...],
    states: ImageStates,
    missing: Sequence[WithoutFile],
) -> Columns:
    """The columns of all files, with their usual state, and of what has no file."""
    files = len(draft.ids)
    notes: dict[int, Shown] = {}
    sample_ids: dict[int, int] = {}
    for one in missing:
        place = f"\0{one.shown.state}/{one.class_title}/{one.uid}/{one.sample_id}".encode("utf-8", "surrogateescape")
        content = one.uid[:CONTENT_LENGTH] if is_uid(one.uid) else ""
        row = draft.add_row(titles[one.class_title], place, one, content)
        notes[row] = one.shown
        if one.sample_id:
            sample_ids[row] = one.sample_id
    columns = _assemble(draft, titles, places, files, notes, sample_ids)
    columns.state_of[:files] = _POSITION[states.usual.state]
    for row, shown in notes.items():
        columns.state_of[row] = _POSITION[shown.state]
    return columns


def _assemble(
    draft: _Draft,
    titles: dict[str, int],
    places: tuple[bytes, ...],
    files: int,
    notes: dict[int, Shown],
    sample_ids: dict[int, int],
) -> Columns:
    starts = np.zeros(len(draft.ids) + 1, np.int64)
    np.cumsum(np.frombuffer(draft.lengths, np.uint32), out=starts[1:])
    contents = np.frombuffer(b"".join(draft.contents), np.uint8).reshape(-1, CONTENT_BYTES)
    ids = np.frombuffer(draft.ids, np.uint64)
    keys = _keys(contents)
    ordered = sorted(titles)
    # Classes got their numbers as they were met.
    numbers = np.zeros(len(titles), np.uint32)
    numbers[[titles[title] for title in ordered]] = np.arange(len(titles), dtype=np.uint32)
    order_of_contents = np.argsort(keys, kind="stable").astype(np.int32)
    return Columns(
        titles=tuple(ordered),
        places=places,
        ids=ids,
        class_of=numbers[np.frombuffer(draft.class_of, np.uint32)],
        place_of=np.frombuffer(draft.place_of, np.uint32),
        state_of=np.zeros(len(ids), np.uint8),
        names=b"".join(draft.names),
        name_starts=starts,
        contents=contents,
        sizes=np.frombuffer(draft.sizes, np.int64),
        mtimes=np.frombuffer(draft.mtimes, np.int64),
        files=files,
        notes=notes,
        sample_ids=sample_ids,
        order_of_ids=np.argsort(ids, kind="stable").astype(np.int32),
        order_of_contents=order_of_contents,
        content_keys=keys[order_of_contents],
    )


def _keys(contents: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first eight bytes of each content hash, as a number in this machine's order."""
    return np.ascontiguousarray(contents[:, :8]).view(">u8")[:, 0].astype(np.uint64)


def _set_states(columns: Columns, states: ImageStates, problem_rows: dict[int, str], model_id: int) -> None:
    scopes = {make_scope(model_id, title): number for number, title in enumerate(columns.titles)}
    for uid, shown in states.by_uid.items():
        class_number = scopes.get(uid[CONTENT_LENGTH + 1 :])
        for row in columns.with_content(uid[:CONTENT_LENGTH]):
            if row < columns.files and columns.class_of[row] == class_number:
                columns.state_of[row] = _POSITION[shown.state]
                columns.notes[row] = shown
    for row, reason in problem_rows.items():
        columns.state_of[row] = _POSITION[ImageState.PROBLEM]
        columns.notes[row] = states.problems.get(columns.path(row)) or Shown(ImageState.PROBLEM, reason)
    for path, shown in states.problems.items():
        place = os.fsencode(path)
        found = columns.find(f"{image_id(place if b'/' in place else b'/' + place):016x}")
        if found is not None:
            columns.state_of[found] = _POSITION[ImageState.PROBLEM]
            columns.notes[found] = shown


def _set_later(
    columns: Columns,
    states: ImageStates,
    keys: NDArray[np.uint64],
    pages: Iterable[tuple[Sequence[str], Sequence[str]]],
) -> None:
    """Tells new samples, which the plan leaves for later, from those in place: these have a mark."""
    marked = array("Q")
    for uids, _ in pages:
        marked.extend([sample_key(uid, uid[CONTENT_LENGTH + 1 :]) for uid in uids])
    known = np.frombuffer(marked, np.uint64) if marked else np.zeros(0, np.uint64)
    usual = columns.state_of[: columns.files] == _POSITION[states.usual.state]
    new = usual & ~is_among(keys, known)
    noted = [row for row in columns.notes if row < columns.files]
    new[noted] = False
    columns.state_of[: columns.files][new] = _POSITION[ImageState.NEW]
