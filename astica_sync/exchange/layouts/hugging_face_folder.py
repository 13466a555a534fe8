"""Hugging Face's imagefolder: images beside a ``metadata.jsonl`` or ``metadata.csv`` with ``file_name`` and a label."""

from collections.abc import Iterator

from astica_sync.core.exchange.dataset_row import Row
from astica_sync.exchange.layouts.data_set import ListedDataSet, Listing
from astica_sync.exchange.layouts.path_table import describe_tables, table_rows
from astica_sync.exchange.layouts.writer import ExportSample, Target, TextFile, part_folder

NAMES = ("metadata.csv", "metadata.jsonl")


def fits(listing: Listing) -> bool:
    rows = (row for entry in listing.named(*NAMES) for row in table_rows(listing, entry))
    return any(row.labels for row in rows)


def open_data_set(listing: Listing) -> ListedDataSet:
    tables = listing.named(*NAMES)
    found = f"Hugging Face imagefolder in {describe_tables(listing, tables)}"
    return ListedDataSet(listing, _rows(listing), found)


def _rows(listing: Listing) -> Iterator[Row]:
    for entry in listing.named(*NAMES):
        yield from table_rows(listing, entry)


class HuggingFaceFolderWriter:
    """One folder for each split, each with its ``metadata.jsonl``: in CSV, a class "NA" would be read as no label."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        self._target = target
        self._tables: dict[str, TextFile] = {}

    def add(self, sample: ExportSample, data: bytes) -> None:
        folder = part_folder(sample) or "train/"
        if folder not in self._tables:
            self._tables[folder] = TextFile()
        self._tables[folder].line({"file_name": sample.path, "label": sample.title})
        self._target.add(f"{folder}{sample.path}", data)

    def finish(self) -> None:
        for folder, table in self._tables.items():
            table.put_into(self._target, f"{folder}metadata.jsonl")
