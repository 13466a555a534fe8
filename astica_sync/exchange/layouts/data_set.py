"""A data set of any layout as the import sees it, and the list of files that most layouts work with."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

from astica_sync.core.exchange.dataset_row import Part, Row
from astica_sync.core.exchange.source_path import path_fault, plain_path
from astica_sync.exchange.sources.source import NotRead, Source, SourceFile, table_of
from astica_sync.local.scan.litter import is_litter

IMAGE_SUFFIXES = frozenset(
    "jpg jpeg jpe jfif png gif bmp dib webp tif tiff heic heif hif avif jp2 j2k jpf jpx jxl ico psd".split()  # noqa: SIM905
)
_DOCUMENTS = frozenset(
    [
        "txt",
        "md",
        "rst",
        "csv",
        "tsv",
        "json",
        "jsonl",
        "ndjson",
        "yaml",
        "yml",
        "xml",
        "html",
        "htm",
        "pdf",
        "py",
        "ipynb",
        "pkl",
        "npy",
        "npz",
        "cache",
        "sh",
        "log",
        "ini",
        "toml",
        "parquet",
        "arrow",
        "tar",
        "gz",
        "zip",
        "names",
        "data",
        "cls",
        "license",
        "db",
        "xlsx",
        "doc",
        "docx",
    ]
)
NOT_THERE = "its file is not in the source"
UNNAMED = "the labels do not name it"


class DataSet(Protocol):
    """An open data set. ``found`` says what it is, for the user."""

    found: str

    def rows(self) -> Iterable[Row]:
        """Every image, without its bytes."""

    def samples(self) -> Iterator[tuple[Row, bytes | NotRead]]:
        """The images that have no fault, with their bytes, in the order that is read fastest. A row that has one stands
        for a file whose images were listed and cannot be read now."""


class Listing:
    """The files of a source, and how a path in a table leads to one of them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.entries: list[SourceFile] = [entry for entry in source.entries() if not _is_left_out(entry.path)]

    @cached_property
    def images(self) -> list[SourceFile]:
        return [entry for entry in self.entries if suffix_of(entry.path) in IMAGE_SUFFIXES]

    @cached_property
    def candidates(self) -> list[SourceFile]:
        """What may be images: all but documents. Their bytes tell."""
        return [entry for entry in self.entries if not _is_document(entry)]

    def named(self, *names: str) -> list[SourceFile]:
        """The files of one of these names, in lower case."""
        return [entry for entry in self.entries if entry.path.rpartition("/")[2].casefold() in names]

    def ending(self, *suffixes: str) -> list[SourceFile]:
        return [entry for entry in self.entries if suffix_of(entry.path) in suffixes]

    def table(self, entry: SourceFile) -> bytes:
        """
        Raises:
            NotRead: it cannot be read.
        """
        return table_of(self.source, entry)

    def resolve(self, given: str, folder: str, *, by_name: bool = True) -> tuple[str, str]:
        """The path of the file that a table in ``folder`` names, and why it is not taken, "" where it is."""
        if "://" in given:
            return given[:500], "it is an address, and nothing is downloaded: download it, and name its path"
        path = plain_path(given.strip())
        if fault := path_fault(path):
            return path[:500], fault
        for place in (folder, "", f"{folder}/images", "images", f"{folder}/data", "data"):
            whole = f"{place}/{path}".lstrip("/") if place else path
            for ending in ("", ".jpg", ".png", ".jpeg"):
                if whole + ending in self._paths:
                    return whole + ending, ""
        if by_name and len(same := self._by_name.get(path.rpartition("/")[2], [])) == 1:
            return same[0], ""
        return path, NOT_THERE

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(entry.path for entry in self.entries)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = defaultdict(list)
        for entry in self.candidates:
            names[entry.path.rpartition("/")[2]].append(entry.path)
        return names


class ListedDataSet:
    """A data set whose images are files of the source."""

    def __init__(self, listing: Listing, rows: Iterable[Row], found: str, *, complete: bool = True) -> None:
        """``complete``: an image of the source that no row names is reported as well."""
        self.found = found
        self._source = listing.source
        self._rows: dict[str, Row] = {}
        self._faults: list[Row] = []
        faults = {entry.path: entry.fault for entry in listing.entries if entry.fault}
        for row in rows:
            if row.fault or row.path in faults:
                self._faults.append(row if row.fault else _with_fault(row, faults[row.path]))
            elif (known := self._rows.get(row.path)) is not None:
                self._rows[row.path] = _merged(known, row)
            else:
                self._rows[row.path] = row
        if complete:
            named = self._rows.keys() | {row.path for row in self._faults}
            self._faults += [
                Row(entry.path, (), fault=entry.fault or UNNAMED) for entry in listing.images if entry.path not in named
            ]

    def rows(self) -> Iterable[Row]:
        yield from self._faults
        yield from self._rows.values()

    def samples(self) -> Iterator[tuple[Row, bytes | NotRead]]:
        for entry, data in self._source.stream(lambda entry: entry.path in self._rows and not entry.fault):
            yield self._rows[entry.path], data


def suffix_of(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].casefold()


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def first_readable(listing: Listing, entries: Sequence[SourceFile], test: Callable[[bytes], bool]) -> SourceFile | None:
    """The first of the tables that passes the test."""
    for entry in entries:
        try:
            if test(listing.table(entry)):
                return entry
        except NotRead:
            continue
    return None


def _merged(one: Row, other: Row) -> Row:
    """Two rows of one image: it has the labels of both. Of two parts it is in the one that is not trained on, since the
    scores of that part would be of what was trained on."""
    labels = tuple(dict.fromkeys((*one.labels, *other.labels)))
    parts = {one.part, other.part} - {None}
    part = next((part for part in (Part.TEST, Part.VALIDATION, Part.TRAIN) if part in parts), None)
    return Row(one.path, labels, part, one.name, one.below)


def _with_fault(row: Row, fault: str) -> Row:
    return Row(row.path, row.labels, row.part, row.name, row.below, fault)


def _is_left_out(path: str) -> bool:
    *folders, name = path.split("/")
    hidden = any(part.startswith(".") and part.strip(".") for part in (*folders, name))
    return hidden or is_litter(name, folder=False) or any(is_litter(folder, folder=True) for folder in folders)


def _is_document(entry: SourceFile) -> bool:
    name = entry.path.rpartition("/")[2].casefold()
    return suffix_of(name) in _DOCUMENTS or name in ("readme", "license", "licence", "makefile")
