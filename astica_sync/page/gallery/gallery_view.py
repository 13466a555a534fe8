"""Filters, sorts and counts the images of the gallery; the result is an order of rows."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import STATES, ImageState
from astica_sync.page.gallery.image_columns import Columns

SORTS = ("class", "date", "name", "size")
_PREFIX = 48
"""So many bytes of a name decide about its order."""
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class GalleryFilter:
    """Which images are shown, and in which order. None and "" are no condition."""

    class_title: str | None = None
    state: str = ""
    text: str = ""
    problem: bool = False
    sort: str = "class"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that stand together: ``start`` is the first one's position in the view."""

    label: str
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class View:
    """The images of one filter. ``name`` is the same for the same filter at the same revision alone. ``by_class`` and
    ``by_state`` count what the filter has without its condition on the class, or on the state."""

    name: str
    rows: NDArray[np.int32]
    groups: list[Group]
    by_class: dict[str, int]
    by_state: dict[str, int]


def make_view(columns: Columns, wanted: GalleryFilter, revision: str) -> View:
    """The images that the filter lets through, in its order."""
    size = len(columns)
    text = _with_text(columns, wanted.text) if wanted.text else np.ones(size, bool)
    if wanted.problem:
        text = text & (columns.state_of == STATES.index(ImageState.PROBLEM))
    in_class = np.ones(size, bool)
    if wanted.class_title is not None:
        known = wanted.class_title in columns.titles
        in_class = columns.class_of == columns.titles.index(wanted.class_title) if known else np.zeros(size, bool)
    in_state = np.ones(size, bool)
    if wanted.state:
        known = wanted.state in list(STATES)
        in_state = columns.state_of == list(STATES).index(ImageState(wanted.state)) if known else np.zeros(size, bool)
    per_class = np.bincount(columns.class_of[text & in_state], minlength=len(columns.titles))
    per_state = np.bincount(columns.state_of[text & in_class], minlength=len(STATES))
    rows = np.flatnonzero(text & in_class & in_state).astype(np.int32)
    rows = _sorted(columns, rows, wanted)
    return View(
        xxhash.xxh3_64_hexdigest(repr((wanted, revision)).encode("utf-8", "surrogateescape")),
        rows,
        _groups(columns, rows, wanted),
        dict(zip(columns.titles, per_class.tolist(), strict=True)),
        dict(zip(map(str, STATES), per_state.tolist(), strict=True)),
    )


def _with_text(columns: Columns, text: str) -> NDArray[np.bool_]:
    """The rows whose name has the text, in whatever case of the letters A to Z."""
    wanted = re.compile(re.escape(text.encode("utf-8", "surrogateescape")), re.IGNORECASE)
    found = np.zeros(len(columns), bool)
    at, starts = 0, columns.name_starts
    while match := wanted.search(columns.names, at):
        row = int(np.searchsorted(starts, match.start(), side="right")) - 1
        end = int(starts[row + 1])
        if match.end() <= end:
            found[row] = True
            at = end
        else:
            at = match.start() + 1
    return found


def _sorted(columns: Columns, rows: NDArray[np.int32], wanted: GalleryFilter) -> NDArray[np.int32]:
    if wanted.sort == "date":
        order = np.argsort(columns.mtimes[rows], kind="stable")
    elif wanted.sort == "size":
        order = np.argsort(columns.sizes[rows], kind="stable")
    elif wanted.sort == "name":
        order = np.argsort(_name_prefixes(columns, rows), kind="stable")
    else:
        order = np.argsort(columns.class_of[rows], kind="stable")
    if wanted.descending:
        order = order[::-1]
    return rows[order]


def _name_prefixes(columns: Columns, rows: NDArray[np.int32]) -> NDArray[np.bytes_]:
    starts = columns.name_starts[rows]
    lengths = np.minimum(columns.name_starts[rows + 1] - starts, _PREFIX)
    letters = np.zeros((len(rows), _PREFIX), np.uint8)
    names = np.frombuffer(columns.names, np.uint8)
    for place in range(int(lengths.max(initial=0))):
        has = lengths > place
        letters[has, place] = names[starts[has] + place]
    capital = (letters >= ord("A")) & (letters <= ord("Z"))
    letters[capital] += 32
    return letters.reshape(-1).view(f"S{_PREFIX}")


def _groups(columns: Columns, rows: NDArray[np.int32], wanted: GalleryFilter) -> list[Group]:
    if not len(rows):
        return []
    if wanted.sort == "class":
        values = columns.class_of[rows].astype(np.int64)
    elif wanted.sort == "date":
        values = columns.mtimes[rows] // _DAY_NS
    elif wanted.sort == "name":
        letters = np.frombuffer(columns.names or b"\0", np.uint8)
        values = letters[columns.name_starts[rows]].astype(np.int64)
        values[(values >= 97) & (values <= 122)] -= 32
    else:
        return [Group("", 0, len(rows))]
    starts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist()]
    ends = [*starts[1:], len(rows)]
    return [
        Group(_label(columns, int(values[start]), wanted.sort), start, end - start)
        for start, end in zip(starts, ends, strict=True)
    ]


def _label(columns: Columns, value: int, sort: str) -> str:
    if sort == "class":
        return columns.titles[value]
    if sort == "date":
        return str(np.datetime64(value, "D"))
    return chr(value) if 32 <= value < 127 else "…"


def view_data(columns: Columns, view: View, start: int, count: int) -> list[list[Any]]:
    """The rows of a part of the view, as the page gets them."""
    return [
        [
            f"{int(columns.ids[row]):016x}",
            int(columns.class_of[row]),
            int(columns.state_of[row]),
            columns.name(row).encode("utf-8", "replace").decode(),
            columns.content(row),
            int(columns.sizes[row]),
            int(columns.mtimes[row]) // 1_000_000,
        ]
        for row in view.rows[start : start + count].tolist()
    ]
