"""Tables as other programs write them: CSV in any usual encoding with any usual separator, JSON and JSON lines."""

import codecs
import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from astica_sync.core.exchange.dataset_row import label_text

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
_PLURAL = frozenset(("labels", "classes", "categories", "tags"))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DELIMITERS = (",", ";", "\t", "|")
TOO_LONG = "a line of the table cannot be parsed"

Cells = Mapping[str, Any]


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
    """The cells of the first line, and those of each further line; None for one that cannot be parsed."""
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


def csv_cells(text: str) -> tuple[list[str], Iterator[Cells | None]]:
    """The same by the names of the columns, in lower case."""
    head, rows = read_csv(text)
    names = list(map(_column_name, head))
    return names, (None if cells is None else dict(zip(names, cells, strict=False)) for cells in rows)


def json_cells(text: str) -> Iterator[Cells | None]:
    """The objects of a JSON list, or of JSON lines; None for what is none. Names are in lower case."""
    stripped = text.lstrip()
    values: Iterable[Any]
    if stripped.startswith("["):
        value = parse(stripped)
        values = value if isinstance(value, list) else [None]
    else:
        values = (parse(line) for line in io.StringIO(text) if line.strip())
    return (_folded(value) if isinstance(value, dict) else None for value in values)


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
    return {_column_name(str(name)): cell for name, cell in value.items()}


def _column_name(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")
