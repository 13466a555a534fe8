"""A table of paths and labels: CSV, TSV, JSON, JSON lines, with or without a line of names."""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from astica_sync.core.exchange.dataset_row import Part, Row, part_at_start, part_of
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.layouts.data_set import IMAGE_SUFFIXES, ListedDataSet, Listing, folder_of, suffix_of
from astica_sync.exchange.layouts.text_table import (
    COLUMN_ROLES,
    TOO_LONG,
    Cells,
    TableColumns,
    column_name,
    csv_cells,
    decode_text,
    find_columns,
    first_cells,
    json_cells,
    json_objects,
    labels_in,
    listed,
    read_csv,
)
from astica_sync.exchange.layouts.writer import ExportSample, Target, TextFile
from astica_sync.exchange.sources.source import NotRead, SourceFile
from astica_sync.shell_quote import quote

SUFFIXES = ("csv", "tsv", "jsonl", "ndjson", "json", "txt")
_NAMED = ("csv", "tsv", "jsonl", "ndjson")
"""Files that are meant as tables: the others may be anything."""
MOST_NAMED = 5
_MOST_NAME = 200
"""Characters of the name of a column in a command that a message shows."""
NONE_CHOSEN: Mapping[str, str] = MappingProxyType({})
HOW = (
    "A table of labels has a column path (or file_name, image …) and a column label (or class, category …); name "
    "others with --column path=NAME --column label=NAME. Its paths are relative to the table or to the folder that is "
    "imported."
)


@dataclass(frozen=True, slots=True)
class _OpenTable:
    """The columns of a table, and its rows; the first of these in ``first`` as well."""

    columns: TableColumns
    rows: Iterator[Cells | None]
    first: list[Cells]


def parse_columns(pairs: Sequence[str]) -> dict[str, str]:
    """What the user reads each column as, from ``path=Datei``; ``split=`` is for none.

    Raises:
        ValueError: it is no such pair, or one is given twice; the message quotes it.
    """
    chosen: dict[str, str] = {}
    for pair in pairs:
        role, equals, name = pair.partition("=")
        if role not in COLUMN_ROLES or not equals or not (name.strip() or role == "split"):
            raise ValueError(f"{pair[:200]!r} is not path=COLUMN, label=COLUMN or split=COLUMN")
        if role in chosen:
            raise ValueError(f"{role} is given twice")
        chosen[role] = name.strip()
    return chosen


def fits(listing: Listing) -> bool:
    return bool(_tables(listing, NONE_CHOSEN))


def open_data_set(listing: Listing, chosen: Mapping[str, str] = NONE_CHOSEN) -> ListedDataSet:
    """``chosen`` are the columns that the user names, as of ``parse_columns``.

    Raises:
        AsticaSyncError: no table can be used.
    """
    tables = _tables(listing, chosen)
    if not tables:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in unused_tables(listing, SUFFIXES, chosen))
        raise AsticaSyncError(
            f"{listing.source.name} has no table that can be used: {reasons or 'no file is a table'}",
            HOW,
        )
    rows = (row for entry in tables for row in table_rows(listing, entry, chosen=chosen))
    return ListedDataSet(listing, rows, f"labels in {describe_tables(listing, tables, chosen)}")


def describe_tables(listing: Listing, tables: Sequence[SourceFile], chosen: Mapping[str, str] = NONE_CHOSEN) -> str:
    """The first of the tables, each with what is read of it."""
    named: dict[str, list[str]] = {}
    for entry in tables[:4]:
        try:
            text = _open(listing, entry, chosen).columns.text
        except NotRead as reason:
            text = str(reason)
        named.setdefault(text, []).append(entry.path)
    return "; ".join(f"{', '.join(paths)} ({text})" for text, paths in named.items())


def table_rows(
    listing: Listing, entry: SourceFile, folder: str | None = None, chosen: Mapping[str, str] = NONE_CHOSEN
) -> Iterator[Row]:
    """The rows of one table, in which paths are relative to ``folder``, by default that of the table."""
    below = folder_of(entry.path) if folder is None else folder
    whole = part_at_start(entry.path.rpartition("/")[2]) or part_of(below.rpartition("/")[2])
    try:
        opened = _open(listing, entry, chosen)
    except NotRead as reason:
        yield Row(entry.path, (), fault=str(reason))
        return
    columns = opened.columns
    for number, row in enumerate(opened.rows, 2):
        if row is None:
            yield Row(f"{entry.path}, row {number}", (), fault=TOO_LONG)
            continue
        given = row.get(columns.path)
        if not isinstance(given, str) or not given.strip():
            yield Row(f"{entry.path}, row {number}", (), fault="it names no file")
            continue
        path, fault = listing.resolve(given, below)
        part = part_of(str(row.get(columns.part, ""))) or whole
        yield Row(path, labels_in(row, columns.label), part, fault=fault)


def refuse_unknown_columns(listing: Listing) -> None:
    """Where the labels would be those of folders: a table that has a row for each image is meant, also where the names
    of its columns are not known.

    Raises:
        AsticaSyncError: there is such a table; the message lists its columns.
    """
    for entry in listing.ending(*_NAMED):
        try:
            opened = _read(listing, entry, NONE_CHOSEN)
        except NotRead:
            continue
        columns = opened.columns
        if (columns.path and columns.label) or len(columns.names) < 2:
            continue
        paths = [name for name in columns.names if _names_images(listing, entry, opened.first, column_name(name))]
        if not paths:
            continue
        labels = [name for name in columns.unused if name != paths[0]]
        label = columns.label or (labels[0] if len(labels) == 1 else "COLUMN")
        options = " ".join(
            f"--column {quote(f'{role}={name}')}"
            for role, found in (("path", paths[0]), ("label", label))
            for name in [found if len(found) <= _MOST_NAME else "COLUMN"]
        )
        raise AsticaSyncError(
            f"the table {entry.path} names the images, and {_unknown(columns)}",
            f"Name its columns: {options} (and --column split=COLUMN where one has train, val or test). Or take the "
            "names of the folders for labels: --layout imagefolder.",
        )


def unused_tables(
    listing: Listing, suffixes: Sequence[str] = _NAMED, chosen: Mapping[str, str] = NONE_CHOSEN
) -> list[tuple[str, str]]:
    """The first of the files that are meant as tables of labels and cannot be used as one, each with the reason."""
    reasons = ((entry.path, _why_unused(listing, entry, chosen)) for entry in listing.ending(*suffixes))
    return list(itertools.islice(((path, reason) for path, reason in reasons if reason), MOST_NAMED))


def _tables(listing: Listing, chosen: Mapping[str, str]) -> list[SourceFile]:
    """The tables of which most of the first rows name files that are there."""
    return [entry for entry in listing.ending(*SUFFIXES) if not _why_unused(listing, entry, chosen)]


def _names_images(listing: Listing, entry: SourceFile, rows: Sequence[Cells], name: str) -> bool:
    """Whether most of the rows have an image that is there in this column, with its extension: a number that is also
    that of an image says nothing."""
    given = [
        cell for row in rows if isinstance(cell := row.get(name), str) and suffix_of(cell.strip()) in IMAGE_SUFFIXES
    ]
    there = sum(not listing.resolve(path, folder_of(entry.path))[1] for path in given)
    return there > 0 and there * 2 >= len(rows)


def _why_unused(listing: Listing, entry: SourceFile, chosen: Mapping[str, str]) -> str:
    """Why the rows of a table are not taken for the labels of images; "" where they are."""
    try:
        opened = _open(listing, entry, chosen)
    except NotRead as reason:
        return str(reason)
    rows, columns = opened.first, opened.columns
    given = [str(row.get(columns.path, "")) for row in rows if columns.label in row]
    faults = [listing.resolve(path, folder_of(entry.path))[1] for path in given]
    there = faults.count("")
    if there and there * 2 >= len(rows):
        return ""
    if not rows:
        return "it has no rows"
    lost = next(((path, fault) for path, fault in zip(given, faults, strict=True) if fault), None)
    first = f"; {lost[0][:200]!r}: {lost[1]}" if lost is not None else ""
    if len(rows) == 1:
        return f"its only row names no file that is there{first}"
    return f"it names files that are there in {there} of its first {len(rows)} rows{first}"


def _open(listing: Listing, entry: SourceFile, chosen: Mapping[str, str]) -> _OpenTable:
    """
    Raises:
        NotRead: it is no such table, or cannot be read.
    """
    opened = _read(listing, entry, chosen)
    columns = opened.columns
    lost = [name for name in chosen.values() if name and column_name(name) not in map(column_name, columns.names)]
    if lost:
        raise NotRead(f"it has no column {lost[0][:40]!r}: it has {listed(columns.names)}")
    if not columns.path or not columns.label:
        raise NotRead(_unknown(columns))
    return opened


def _read(listing: Listing, entry: SourceFile, chosen: Mapping[str, str]) -> _OpenTable:
    """The table, whether or not its columns are known.

    Raises:
        NotRead: it cannot be read.
    """
    text = decode_text(listing.table(entry))
    if suffix_of(entry.path) in ("json", "jsonl", "ndjson"):
        some = first_cells(json_objects(text))
        names = list(dict.fromkeys(str(name) for row in some for name in row))
        first, rows = first_cells(json_cells(text)), json_cells(text)
    else:
        given: list[str] = []
        names, cells = csv_cells(text)
        first = first_cells(cells)
        columns = find_columns(names, first, chosen)
        if len(names) >= 2 and not (columns.path and columns.label):
            head, _ = read_csv(text)
            if not listing.resolve(head[0], folder_of(entry.path))[1]:
                # No line of names: the first line has an image already.
                names = given = ["path", "label", *(f"column {number}" for number in range(3, len(head) + 1))]
                first = first_cells(csv_cells(text, given)[1])
        rows = csv_cells(text, given)[1]
    return _OpenTable(find_columns(names, first, chosen), rows, first)


def _unknown(columns: TableColumns) -> str:
    lacks = [] if columns.path else ["paths"]
    lacks += [] if columns.label else ["labels"]
    return f"it has no column of {' and none of '.join(lacks)} that is known: it has {listed(columns.names)}"


def _line(cells: list[str], delimiter: str = ",") -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return line.getvalue()


class CsvWriter:
    """``labels.csv`` beside a folder ``images``."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        self._target, self._table = target, TextFile()
        self._is_begun = False

    def add(self, sample: ExportSample, data: bytes) -> None:
        path = f"images/{part_folder_of(sample)}{sample.path}"
        if not self._is_begun:
            self._table.write(_line(["path", "label", *(["split"] if sample.is_split else [])]))
            self._is_begun = True
        self._table.write(_line([path, sample.title, *([str(sample.part)] if sample.is_split else [])]))
        self._target.add(path, data)

    def finish(self) -> None:
        self._table.put_into(self._target, "labels.csv")


class JsonLinesWriter:
    """``labels.jsonl`` beside a folder ``images``."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        self._target, self._table = target, TextFile()

    def add(self, sample: ExportSample, data: bytes) -> None:
        path = f"images/{part_folder_of(sample)}{sample.path}"
        split = {"split": str(sample.part)} if sample.is_split else {}
        self._table.line({"path": path, "label": sample.title, **split})
        self._target.add(path, data)

    def finish(self) -> None:
        self._table.put_into(self._target, "labels.jsonl")


def part_folder_of(sample: ExportSample) -> str:
    """Samples of two parts may have one path."""
    return "" if not sample.is_split or sample.part is Part.TRAIN else f"{sample.part}/"
