"""A table of paths and labels: CSV, TSV, JSON, JSON lines, with or without a line of names."""

import csv
import io
from collections.abc import Iterator

from astica_sync.core.exchange.dataset_row import Part, Row, part_at_start, part_of
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
from astica_sync.exchange.sources.source import Entry, NotRead

SUFFIXES = ("csv", "tsv", "jsonl", "ndjson", "json", "txt")


def fits(listing: Listing) -> bool:
    return bool(_tables(listing))


def open_data_set(listing: Listing) -> ListedDataSet:
    tables = _tables(listing)
    rows = (row for entry in tables for row in table_rows(listing, entry))
    return ListedDataSet(listing, rows, f"labels in {', '.join(entry.path for entry in tables[:4])}")


def table_rows(listing: Listing, entry: Entry, folder: str | None = None) -> Iterator[Row]:
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


def _tables(listing: Listing) -> list[Entry]:
    """The tables of which most of the first rows name files that are there."""
    found = []
    for entry in listing.ending(*SUFFIXES):
        try:
            path_name, label_name, _, cells = _open(listing, entry)
        except NotRead:
            continue
        rows = first_cells(cells)
        there = sum(
            not listing.resolve(str(row.get(path_name, "")), folder_of(entry.path))[1]
            for row in rows
            if label_name in row
        )
        if there and there * 2 >= len(rows):
            found.append(entry)
    return found


def _open(listing: Listing, entry: Entry) -> tuple[str, str, str, Iterator[Cells | None]]:
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
        raise NotRead("it has no columns for paths and labels")
    return path_name, label_name, column(names, PART_COLUMNS), rows


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
