"""A table of paths and labels: CSV, TSV, JSON, JSON lines, with or without a line of names."""

import csv
import io
import itertools
from collections.abc import Iterator, Sequence

from astica_sync.core.exchange.dataset_row import Part, Row, part_at_start, part_of
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.layouts.data_set import ListedDataSet, Listing, folder_of, suffix_of
from astica_sync.exchange.layouts.text_table import (
    LABEL_COLUMNS,
    PART_COLUMNS,
    PATH_COLUMNS,
    TOO_LONG,
    Cells,
    column,
    csv_cells,
    decode_text,
    first_cells,
    json_cells,
    labels_in,
    read_csv,
)
from astica_sync.exchange.layouts.writer import ExportSample, Target, TextFile
from astica_sync.exchange.sources.source import NotRead, SourceFile

SUFFIXES = ("csv", "tsv", "jsonl", "ndjson", "json", "txt")
_NAMED = ("csv", "tsv", "jsonl", "ndjson")
"""Files that are meant as tables: the others may be anything."""
MOST_NAMED = 5
_MOST_COLUMNS = 12
HOW = (
    "A table of labels has a column path (or file_name, image …) and a column label (or class, category …), and its "
    "paths are relative to the table or to the folder that is imported; docs/import-export.md has all names."
)


def fits(listing: Listing) -> bool:
    return bool(_tables(listing))


def open_data_set(listing: Listing) -> ListedDataSet:
    """
    Raises:
        AsticaSyncError: no table can be used.
    """
    tables = _tables(listing)
    if not tables:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in unused_tables(listing, SUFFIXES))
        raise AsticaSyncError(
            f"{listing.source.name} has no table that can be used: {reasons or 'no file is a table'}",
            HOW,
        )
    rows = (row for entry in tables for row in table_rows(listing, entry))
    return ListedDataSet(listing, rows, f"labels in {', '.join(entry.path for entry in tables[:4])}")


def table_rows(listing: Listing, entry: SourceFile, folder: str | None = None) -> Iterator[Row]:
    """The rows of one table, in which paths are relative to ``folder``, by default that of the table."""
    below = folder_of(entry.path) if folder is None else folder
    whole = part_at_start(entry.path.rpartition("/")[2]) or part_of(below.rpartition("/")[2])
    try:
        path_name, label_name, part_name, cells = _open(listing, entry)
    except NotRead as reason:
        yield Row(entry.path, (), fault=str(reason))
        return
    for number, row in enumerate(cells, 2):
        if row is None:
            yield Row(f"{entry.path}, row {number}", (), fault=TOO_LONG)
            continue
        given = row.get(path_name)
        if not isinstance(given, str) or not given.strip():
            yield Row(f"{entry.path}, row {number}", (), fault="it names no file")
            continue
        path, fault = listing.resolve(given, below)
        part = part_of(str(row.get(part_name, ""))) or whole
        yield Row(path, labels_in(row, label_name), part, fault=fault)


def unused_tables(listing: Listing, suffixes: Sequence[str] = _NAMED) -> list[tuple[str, str]]:
    """The first of the files that are meant as tables of labels and cannot be used as one, each with the reason."""
    reasons = ((entry.path, _why_unused(listing, entry)) for entry in listing.ending(*suffixes))
    return list(itertools.islice(((path, reason) for path, reason in reasons if reason), MOST_NAMED))


def _tables(listing: Listing) -> list[SourceFile]:
    """The tables of which most of the first rows name files that are there."""
    return [entry for entry in listing.ending(*SUFFIXES) if not _why_unused(listing, entry)]


def _why_unused(listing: Listing, entry: SourceFile) -> str:
    """Why the rows of a table are not taken for the labels of images; "" where they are."""
    try:
        path_name, label_name, _, cells = _open(listing, entry)
    except NotRead as reason:
        return str(reason)
    rows = first_cells(cells)
    given = [str(row.get(path_name, "")) for row in rows if label_name in row]
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


def _open(listing: Listing, entry: SourceFile) -> tuple[str, str, str, Iterator[Cells | None]]:
    """The names of the columns for path, label and part, and the rows.

    Raises:
        NotRead: it is no such table, or cannot be read.
    """
    text = decode_text(listing.table(entry))
    if suffix_of(entry.path) in ("json", "jsonl", "ndjson"):
        some = first_cells(json_cells(text))
        names = list(dict.fromkeys(name for row in some for name in row))
        rows = json_cells(text)
    else:
        names, rows = csv_cells(text)
        if len(names) >= 2 and not (column(names, PATH_COLUMNS) and column(names, LABEL_COLUMNS)):
            head, _ = read_csv(text)
            if not listing.resolve(head[0], folder_of(entry.path))[1]:
                # No line of names: the first line has an image already.
                names = ["path", "label", *(f"column {number}" for number in range(3, len(head) + 1))]
                rows = csv_cells(_line(names) + text)[1]
    path_name, label_name = column(names, PATH_COLUMNS), column(names, LABEL_COLUMNS)
    if not path_name or not label_name:
        lacks = [] if path_name else ["paths"]
        lacks += [] if label_name else ["labels"]
        raise NotRead(f"it has no column of {' and none of '.join(lacks)} that is known: it has {_listed(names)}")
    return path_name, label_name, column(names, PART_COLUMNS), rows


def _listed(names: list[str]) -> str:
    more = ", …" if len(names) > _MOST_COLUMNS else ""
    return ", ".join(name[:40] or '""' for name in names[:_MOST_COLUMNS]) + more if names else "no columns"


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
