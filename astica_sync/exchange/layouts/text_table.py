"""Tables as other programs write them: CSV in any usual encoding with any usual separator, JSON and JSON lines."""

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from astica_sync.core.exchange.dataset_row import Part, label_text, part_of

PATH_COLUMNS = (
    "file_name",
    "filename",
    "file",
    "filepath",
    "file_path",
    "path",
    "image",
    "image_path",
    "image_file",
    "img",
    "img_path",
    "image_name",
    "imagename",
    "name",
    "image_id",
    "id",
)
LABEL_COLUMNS = (
    "label",
    "class",
    "category",
    "target",
    "class_name",
    "label_name",
    "classname",
    "labels",
    "classes",
    "categories",
    "tags",
    "tag",
    "species",
    "choice",
    "y",
)
PART_COLUMNS = ("split", "subset", "partition", "set", "usage")
COLUMN_ROLES = ("path", "label", "split")
"""What a column can be read as; a user can name the column of each."""
_PLURAL = frozenset(("labels", "classes", "categories", "tags"))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DELIMITERS = (",", ";", "\t", "|")
_NAMED_DELIMITER = re.compile(r'\ufeff?"?sep=(\t|[^\w\s"])"?[;,\t|]*\r?\n', re.IGNORECASE)
"""The line before the names of the columns by which Excel takes a separator."""
TOO_LONG = "a line of the table cannot be parsed"

MOST_UNKNOWN = 3
_MOST_SHOWN = 40
"""Characters of a cell that are in a message."""

Cells = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of a table. ``names`` are all as they are written; ``path``, ``label`` and ``part`` are those that
    are read, by their names in ``Cells``, "" where there is none. ``unknown_parts`` are values of ``part`` that are no
    part of a split."""

    names: tuple[str, ...]
    path: str
    label: str
    part: str
    unknown_parts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Which columns are read as what, and which are not used."""
        read = [f"{role} from {self._written(name)}" for role, name in self._roles() if name]
        if self.unknown_parts:
            read[-1] += f" (no parts: {', '.join(repr(_cut(part)) for part in self.unknown_parts)})"
        rest = self.unused
        return f"{', '.join(read)}; not used: {listed(rest)}" if rest else ", ".join(read)

    @property
    def unused(self) -> list[str]:
        """The other columns, as they are written."""
        used = {name for _, name in self._roles()}
        return [name for name in self.names if column_name(name) not in used]

    def _roles(self) -> Iterator[tuple[str, str]]:
        return zip(COLUMN_ROLES, (self.path, self.label, self.part), strict=True)

    def _written(self, wanted: str) -> str:
        return _cut(next((name for name in self.names if column_name(name) == wanted), wanted))


def find_columns(names: Sequence[str], rows: Sequence[Cells], chosen: Mapping[str, str]) -> TableColumns:
    """What each column is read as: as the user has ``chosen`` (``COLUMN_ROLES``; "" for none), else by its name, and
    that of the parts also by its values in the first ``rows``."""
    there = list(map(column_name, names))
    known = {"path": PATH_COLUMNS, "label": LABEL_COLUMNS, "split": PART_COLUMNS}
    found = {role: column_name(chosen[role]) if role in chosen else column(there, known[role]) for role in COLUMN_ROLES}
    path, label, part = (name if name in there else "" for name in found.values())
    if "split" not in chosen:
        others = [name for name in there if name not in ("", path, label)]
        if not any(_parts_in(rows, part)):
            part = next((name for name in others if _is_split(_parts_in(rows, name))), part)
    unknown = [_text(row.get(part)) for row in rows if part and _text(row.get(part)) and not part_of(_text(row[part]))]
    return TableColumns(tuple(names), path, label, part, tuple(dict.fromkeys(unknown))[:MOST_UNKNOWN])


def _parts_in(rows: Iterable[Cells], name: str) -> list[Part | None]:
    return [part_of(text) for row in rows if (text := _text(row.get(name)))]


def _is_split(parts: Sequence[Part | None]) -> bool:
    """Whether the values of a column are parts of a split. One of them is for training, since a column of quality may
    have "valid" everywhere."""
    return None not in parts and Part.TRAIN in parts


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names of columns, for a message."""
    more = ", …" if len(names) > most else ""
    return ", ".join(_cut(name) or '""' for name in names[:most]) + more if names else "no columns"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def decode_text(data: bytes) -> str:
    """The text, by its byte-order mark, by the zeros that UTF-16 has, as UTF-8, else in the code page of Windows."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if data[1:200:2].count(0) > len(data[:200]) // 3:
        return data.decode("utf-16-le", "replace")
    if data[0:200:2].count(0) > len(data[:200]) // 3:
        return data.decode("utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def read_csv(text: str) -> tuple[list[str], Iterator[list[str] | None]]:
    """The cells of the first line, and those of each further line; None for one that cannot be parsed. A line before
    them may name the separator, as Excel has it: ``sep=;``."""
    if named := _NAMED_DELIMITER.match(text):
        text, delimiter = text[named.end() :], named[1]
    else:
        first = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=lambda sign: (first.count(sign), -_DELIMITERS.index(sign)))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = _parsed(lines)
    head = next(rows, None) or []
    return [cell.strip() for cell in head], rows


def _parsed(lines: Iterator[list[str]]) -> Iterator[list[str] | None]:
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error:
            yield None
            continue
        if any(cell.strip() for cell in cells):
            yield cells


def csv_cells(text: str, given: Sequence[str] = ()) -> tuple[list[str], Iterator[Cells | None]]:
    """The names of the columns as they are written, and the same by these names in lower case. Where names are
    ``given``, the first line has cells as the others."""
    head, rows = read_csv(text)
    if given:
        head, rows = list(given), itertools.chain([head], rows)
    names = list(map(column_name, head))
    return head, (None if cells is None else dict(zip(names, cells, strict=False)) for cells in rows)


def json_cells(text: str) -> Iterator[Cells | None]:
    """The objects of a JSON list, or of JSON lines; None for what is none. Names are in lower case."""
    return (None if value is None else _folded(value) for value in json_objects(text))


def json_objects(text: str) -> Iterator[Mapping[str, Any] | None]:
    """The same with the names as they are written."""
    stripped = text.lstrip()
    values: Iterable[Any]
    if stripped.startswith("["):
        value = parse(stripped)
        values = value if isinstance(value, list) else [None]
    else:
        values = (parse(line) for line in io.StringIO(text) if line.strip())
    return (value if isinstance(value, dict) else None for value in values)


def parse(text: str) -> Any:
    """A JSON value; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def column(names: Iterable[str], wanted: Sequence[str]) -> str:
    """The first of the wanted columns that is there; "" where none is."""
    there = set(names)
    return next((name for name in wanted if name in there), "")


def labels_in(cells: Cells, name: str) -> tuple[str, ...]:
    """The labels of one cell: a list has several, and so has the text of a column whose name is plural."""
    value = cells.get(name)
    if isinstance(value, list | tuple):
        values: Iterable[Any] = value
    elif isinstance(value, dict):
        values = value.get("choices", [value.get("name", value.get("label"))])
    elif isinstance(value, str) and name in _PLURAL:
        for sign in "|;,":
            value = value.replace(sign, "\0")
        values = value.split("\0")
    else:
        values = [value]
    texts = (label_text(one).strip() for one in values)
    return tuple(dict.fromkeys(text for text in texts if text))


def first_cells(rows: Iterable[Cells | None], most: int = 50) -> list[Cells]:
    return [row for row in itertools.islice(rows, most) if row is not None]


def _folded(value: Mapping[str, Any]) -> Cells:
    return {column_name(str(name)): cell for name, cell in value.items()}


def column_name(name: str) -> str:
    """The name in ``Cells`` of a column that is written so."""
    return name.strip().casefold().replace(" ", "_").replace("-", "_")
