"""Filters, sorts and counts the images of the gallery; the result is an order of rows."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import STATES, ImageState
from astica_sync.page.gallery.image_columns import Columns

SORTS = ("class", "date", "name", "size", "confidence", "suspicion")
RANKED = ("confidence", "suspicion")
"""Sorts by a number that the page has for some images: a share from 0 to 1."""
STORE, HELD_OUT, EVERYTHING = "store", "held-out", "all"
ANY = "1"
"""The filter of all problems, of whatever kind."""
_PREFIX = 48
"""So many bytes of a name decide about its order."""
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class GalleryFilter:
    """Which images are shown, and in which order. None and "" are no condition, but for ``split``: without it all are
    shown that are not held out. ``version`` and ``said`` are as in ``version_filter``; ``ranked`` names what the
    numbers of a sort are of."""

    class_title: str | None = None
    state: str = ""
    text: str = ""
    problem: str = ""
    split: str = ""
    version: str = ""
    said: str = ""
    sort: str = "class"
    descending: bool = False
    ranked: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownRows:
    """What is known of the rows besides the columns: ``version`` and ``said`` are which rows fulfil these two
    conditions of the filter, None where there is no such condition; ``ranks`` are the numbers of a sort, NaN for
    images that have none."""

    version: NDArray[np.bool_] | None = None
    said: NDArray[np.bool_] | None = None
    ranks: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class RowGroup:
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
    groups: list[RowGroup]
    by_class: dict[str, int]
    by_state: dict[str, int]


def make_view(columns: Columns, wanted: GalleryFilter, revision: str, known: KnownRows = KnownRows()) -> View:
    """The images that the filter lets through, in its order."""
    conditions = find_conditions(columns, wanted, known)
    per_class = np.bincount(columns.class_of[conditions.all_but("class")], minlength=len(columns.titles))
    per_state = np.bincount(columns.state_of[conditions.all_but("state")], minlength=len(STATES))
    rows = np.flatnonzero(conditions.all_but()).astype(np.int32)
    rows = _sorted(columns, rows, wanted, known.ranks)
    return View(
        xxhash.xxh3_64_hexdigest(repr((wanted, revision)).encode("utf-8", "surrogateescape")),
        rows,
        _groups(columns, rows, wanted, known.ranks),
        dict(zip(columns.titles, per_class.tolist(), strict=True)),
        dict(zip(map(str, STATES), per_state.tolist(), strict=True)),
    )


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which rows fulfil each condition of a filter, by the name of the condition."""

    size: int
    each: dict[str, NDArray[np.bool_]]

    def all_but(self, *names: str) -> NDArray[np.bool_]:
        """The rows that fulfil all conditions other than these."""
        result = np.ones(self.size, bool)
        for name, rows in self.each.items():
            if name not in names:
                result &= rows
        return result


def find_conditions(columns: Columns, wanted: GalleryFilter, known: KnownRows) -> Conditions:
    """The conditions of a filter; what is not known lets nothing through."""
    nothing = np.zeros(len(columns), bool)
    each: dict[str, NDArray[np.bool_]] = {}
    if wanted.text:
        each["text"] = _with_text(columns, wanted.text)
    if wanted.problem:
        each["problem"] = _with_problem(columns, wanted.problem)
    if wanted.class_title is not None:
        title = wanted.class_title
        each["class"] = columns.class_of == columns.titles.index(title) if title in columns.titles else nothing
    if wanted.state:
        is_known = wanted.state in list(STATES)
        each["state"] = columns.state_of == STATES.index(ImageState(wanted.state)) if is_known else nothing
    # Who asks for the state asks for these images.
    if wanted.split != EVERYTHING and wanted.state != HELD_OUT:
        each["split"] = in_split(columns, wanted.split)
    if known.version is not None:
        each["version"] = known.version
    if known.said is not None:
        each["said"] = known.said
    return Conditions(len(columns), each)


def in_split(columns: Columns, split: str) -> NDArray[np.bool_]:
    """The images of the store's folder, those of held-out folders, or ("") all but these."""
    if split == STORE:
        return np.arange(len(columns)) < columns.files
    held_out: NDArray[np.bool_] = columns.state_of == STATES.index(ImageState.HELD_OUT)
    if split == HELD_OUT:
        return held_out
    return ~held_out if not split else np.zeros(len(columns), bool)


def kind_of_problem(reason: str) -> str:
    """What several problems have in common: the reason without what differs from file to file."""
    kind = re.split(r"[:,;(]", reason, maxsplit=1)[0].strip()
    return "too large" if kind[:1].isdigit() else kind


def _with_problem(columns: Columns, kind: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = columns.state_of == STATES.index(ImageState.PROBLEM)
    if kind != ANY:
        for row in np.flatnonzero(found).tolist():
            found[row] = row in columns.notes and kind_of_problem(columns.notes[row].reason) == kind
    return found


def count_problems(columns: Columns, rows: NDArray[np.bool_]) -> dict[str, int]:
    """How many of the rows have a problem of each kind, the most frequent first."""
    kinds = Counter(
        kind_of_problem(columns.notes[row].reason)
        for row in np.flatnonzero(rows & _with_problem(columns, ANY)).tolist()
        if row in columns.notes
    )
    return dict(kinds.most_common())


def _with_text(columns: Columns, text: str) -> NDArray[np.bool_]:
    """The rows whose name has the text, in whatever case of the letters A to Z."""
    wanted = re.compile(re.escape(text.encode("utf-8", "surrogateescape")), re.IGNORECASE)
    return columns.names.search(wanted)


def _sorted(
    columns: Columns, rows: NDArray[np.int32], wanted: GalleryFilter, ranks: NDArray[np.float32] | None
) -> NDArray[np.int32]:
    if wanted.sort in RANKED and ranks is not None:
        # Images without a number are last in both directions.
        values = ranks[rows]
        return rows[np.argsort(-values if wanted.descending else values, kind="stable")]
    if wanted.sort == "date":
        order = np.argsort(columns.mtimes[rows], kind="stable")
    elif wanted.sort == "size":
        order = np.argsort(columns.sizes[rows], kind="stable")
    elif wanted.sort == "name":
        order = np.argsort(_name_prefixes(columns, rows), kind="stable")
    else:
        classes = columns.class_of[rows]
        if (classes[1:] >= classes[:-1]).all():
            # Those of files are in this order.
            return rows[::-1] if wanted.descending else rows
        order = np.argsort(classes, kind="stable")
    if wanted.descending:
        order = order[::-1]
    return rows[order]


def _name_prefixes(columns: Columns, rows: NDArray[np.int32]) -> NDArray[np.bytes_]:
    letters = columns.names.prefixes(rows, _PREFIX)
    capital = (letters >= ord("A")) & (letters <= ord("Z"))
    letters[capital] += 32
    return letters.reshape(-1).view(f"S{_PREFIX}")


def _groups(
    columns: Columns, rows: NDArray[np.int32], wanted: GalleryFilter, ranks: NDArray[np.float32] | None
) -> list[RowGroup]:
    if not len(rows):
        return []
    if wanted.sort == "class":
        values = columns.class_of[rows]
    elif wanted.sort == "date":
        values = columns.mtimes[rows] // _DAY_NS
    elif wanted.sort == "name":
        values = columns.names.prefixes(rows, 1)[:, 0].astype(np.int64)
        values[(values >= 97) & (values <= 122)] -= 32
    elif wanted.sort in RANKED and ranks is not None:
        values = np.where(np.isnan(ranks[rows]), -1, np.clip(np.nan_to_num(ranks[rows]) * 10, 0, 9)).astype(np.int64)
    else:
        return [RowGroup("", 0, len(rows))]
    starts = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()]
    ends = [*starts[1:], len(rows)]
    return [
        RowGroup(_label(columns, int(values[start]), wanted.sort), start, end - start)
        for start, end in zip(starts, ends, strict=True)
    ]


def _label(columns: Columns, value: int, sort: str) -> str:
    if sort == "class":
        return columns.titles[value]
    if sort == "date":
        return str(np.datetime64(value, "D"))
    if sort in RANKED:
        return "not known" if value < 0 else f"{10 * value} to {10 * value + 10} %"
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
