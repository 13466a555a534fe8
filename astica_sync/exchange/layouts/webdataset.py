"""WebDataset: tar archives in which the files of one sample have one name (``0001.jpg``, ``0001.cls``)."""

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO, cast

from astica_sync.core.exchange.dataset_row import Part, Row, label_text, part_at_start
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.layouts.data_set import IMAGE_SUFFIXES, Listing, suffix_of
from astica_sync.exchange.layouts.text_table import LABEL_COLUMNS, column, decode_text, labels_in, parse
from astica_sync.exchange.layouts.writer import ExportSample, Target
from astica_sync.exchange.sources.source import NotRead, Source, SourceFile, table_of
from astica_sync.exchange.sources.tar_archive import TarSource

_LABELS = ("json", "cls", "txt", "label")
_CLASS_FILES = ("classes.txt", "labels.txt", "class_names.txt")
SHARD_BYTES = 500_000_000
NO_LABEL_FILE = "no file of its name has a label"


def fits(listing: Listing) -> bool:
    if isinstance(listing.source, TarSource):
        keys = {_key(entry.path)[0] for entry in listing.ending("cls", "json")}
        images = listing.images
        return bool(keys) and sum(_key(entry.path)[0] in keys for entry in images) * 2 >= len(images) > 0
    return bool(listing.ending("tar")) and not listing.images


def open_data_set(listing: Listing) -> "WebDataSet":
    source = listing.source
    if isinstance(source, TarSource):
        shards: list[Source] = [source]
    else:
        shards = [_shard(source, entry) for entry in listing.ending("tar")]
    names: list[str] = []
    for entry in listing.named(*_CLASS_FILES):
        names = names or decode_text(listing.table(entry)).splitlines()
    return WebDataSet(source, shards, [name.strip() for name in names])


def _shard(source: Source, entry: SourceFile) -> TarSource:
    return TarSource(entry.path, lambda: source.open(entry))


def _key(path: str) -> tuple[str, str]:
    """The name of the sample, and what the file is of it: the name ends at the first dot."""
    folder, slash, name = path.rpartition("/")
    stem, _, ending = name.partition(".")
    return f"{folder}{slash}{stem}", ending.casefold()


class WebDataSet:
    """The shards one after the other. Where the source is the only one, who opened it reports how it ended."""

    def __init__(self, source: Source, shards: list[Source], names: list[str]) -> None:
        self._source, self._shards, self._names = source, shards, names
        self.found: str = f"WebDataset ({len(shards):,} {'shard' if len(shards) == 1 else 'shards'})"
        self._rows: list[dict[str, Row]] = []

    def rows(self) -> Iterator[Row]:
        self._rows = []
        for shard in self._shards:
            try:
                rows = self._read_labels(shard)
            except AsticaSyncError as error:
                if len(self._shards) == 1:
                    raise
                self._rows.append({})
                yield Row(shard.name, (), fault=str(error))
                continue
            self._rows.append(rows)
            yield from rows.values()
            if shard.ended_early and shard is not self._source:
                yield Row(shard.name, (), fault=shard.ended_early)

    def samples(self) -> Iterator[tuple[Row, bytes | NotRead]]:
        for shard, rows in zip(self._shards, self._rows, strict=True):
            if not rows:
                continue
            known = shard.ended_early
            for entry, data in shard.stream(lambda entry, rows=rows: entry.path in rows):  # type: ignore[misc]
                if not rows[entry.path].fault:
                    yield rows[entry.path], data
            if shard.ended_early not in ("", known) and shard is not self._source:
                yield Row(shard.name, (), fault=shard.ended_early), NotRead(shard.ended_early)

    def _read_labels(self, shard: Source) -> dict[str, Row]:
        labels: dict[str, tuple[str, ...]] = {}
        names: dict[str, str] = {}
        part = part_at_start(shard.name.rpartition("/")[2])
        entries = shard.entries()
        for entry in entries:
            key, ending = _key(entry.path)
            if ending in _LABELS and (key not in labels or ending == "json"):
                try:
                    found, name = self._label(table_of(shard, entry), ending)
                except NotRead:
                    continue
                labels[key] = found or labels.get(key, ())
                names[key] = name or names.get(key, "")
        rows = {}
        for entry in entries:
            if suffix_of(entry.path) in IMAGE_SUFFIXES:
                key, _ = _key(entry.path)
                fault = entry.fault or ("" if key in labels else NO_LABEL_FILE)
                shown = Row(entry.path, labels.get(key, ()), part, names.get(key, ""), fault=fault)
                rows[entry.path] = shown
        return rows

    def _label(self, data: bytes, ending: str) -> tuple[tuple[str, ...], str]:
        text = decode_text(data).strip()
        if ending == "json":
            value = parse(text)
            if not isinstance(value, dict):
                return (), ""
            cells = {str(name).casefold(): cell for name, cell in value.items()}
            name = cells.get("file_name", cells.get("filename", ""))
            found = labels_in(cells, column(cells, LABEL_COLUMNS))
            return tuple(map(self._named, found)), str(name) if isinstance(name, str) else ""
        return ((self._named(text),) if text else ()), ""

    def _named(self, label: str) -> str:
        number = int(label) if label.isascii() and label.isdigit() and len(label) < 9 else -1
        return self._names[number] if 0 <= number < len(self._names) else label_text(label)


class WebDatasetWriter:
    """``train-000000.tar`` and so on, of at most ``SHARD_BYTES``, and ``classes.txt`` with the class of each number."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        self._target, self._titles = target, titles
        self._numbers = {title: number for number, title in enumerate(titles)}
        self._shards: dict[Part, _OpenShard] = {}
        self._count = 0

    def add(self, sample: ExportSample, data: bytes) -> None:
        shard = self._shards.get(sample.part)
        if shard is None or shard.size > SHARD_BYTES:
            number = 0
            if shard is not None:
                shard.put_into(self._target)
                number = shard.number + 1
            shard = self._shards[sample.part] = _OpenShard(sample.part, number)
        key = f"{self._count:09}"
        self._count += 1
        about = {"label": sample.title, "file_name": sample.path.rpartition("/")[2]}
        ending = suffix_of(sample.path)
        shard.add(f"{key}.{ending if ending in ('jpg', 'jpeg', 'png') else 'jpg'}", data)
        shard.add(f"{key}.cls", str(self._numbers[sample.title]).encode())
        shard.add(f"{key}.json", json.dumps(about, ensure_ascii=False).encode("utf-8", "backslashreplace"))

    def finish(self) -> None:
        for shard in self._shards.values():
            shard.put_into(self._target)
        self._target.add("classes.txt", "".join(f"{title}\n" for title in self._titles).encode())


class _OpenShard:
    def __init__(self, part: Part, number: int) -> None:
        self.number, self.size = number, 0
        self._name = f"{part}-{number:06}.tar"
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by put_into
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115

    def add(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))
        # The archive would keep the list of all members.
        self._tar.members = []  # type: ignore[attr-defined]
        self.size += len(data) + 1024

    def put_into(self, target: Target) -> None:
        self._tar.close()
        size = self._file.tell()
        self._file.seek(0)
        target.add_file(self._name, cast("io.BufferedReader", self._file), size)
        self._file.close()
