"""Parquet as Hugging Face's datasets write it: a column with the bytes and name of each image, and one of labels."""

import io
import json
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from astica_sync.core.exchange.dataset_row import Part, Row, label_text, part_at_start, part_of
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.layouts.data_set import Listing, folder_of
from astica_sync.exchange.layouts.text_table import LABEL_COLUMNS, PART_COLUMNS, column
from astica_sync.exchange.layouts.writer import ExportSample, Target
from astica_sync.exchange.sources.source import MOST_BYTES, MOST_RATIO, NotRead, SourceFile, too_large

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_IMAGE_COLUMNS = ("image", "img", "picture", "photo", "bytes", "content")
_BATCH = 16
_MOST_GROUP = 2_000_000_000
_FREE = 1_000_000_000
"""So many bytes may come out of a file whatever its size."""
SHARD_BYTES = 500_000_000
_GROUP_BYTES = 30_000_000
MISSING = "to read and write parquet, install the extra: pip install 'astica-sync[parquet]'"


def fits(listing: Listing) -> bool:
    return bool(listing.ending("parquet")) and not listing.images


def open_data_set(listing: Listing) -> "ParquetDataSet":
    return ParquetDataSet(listing, listing.ending("parquet"))


class ParquetDataSet:
    """The files one after the other."""

    def __init__(self, listing: Listing, entries: list[SourceFile]) -> None:
        self._listing, self._entries = listing, entries
        self.found: str = f"parquet ({len(entries):,} {'file' if len(entries) == 1 else 'files'})"
        self._bad: set[str] = set()

    def rows(self) -> Iterator[Row]:
        for entry in self._entries:
            try:
                for row, _ in self._read(entry, with_bytes=False):
                    yield row
            except NotRead as reason:
                self._bad.add(entry.path)
                yield Row(entry.path, (), fault=str(reason))

    def samples(self) -> Iterator[tuple[Row, bytes | NotRead]]:
        for entry in self._entries:
            if entry.path in self._bad:
                continue
            try:
                yield from self._read(entry, with_bytes=True)
            except NotRead as reason:
                yield Row(entry.path, (), fault=str(reason)), reason

    def _read(self, entry: SourceFile, *, with_bytes: bool) -> Iterator[tuple[Row, bytes | NotRead]]:
        if entry.fault:
            raise NotRead(entry.fault)
        pq, errors = _load()
        try:
            with self._listing.source.open(entry) as file:
                table = _Table(pq.ParquetFile(file), entry.path)
                yield from table.read(entry.size, with_bytes=with_bytes)
        except errors as error:
            raise NotRead(f"it cannot be read as parquet: {str(error)[:300]}") from error


class _Table:
    """One open file: its columns, and the names of its labels."""

    def __init__(self, file: "pq.ParquetFile", path: str) -> None:
        self._file, self._path = file, path
        schema = file.schema_arrow
        folded = {name.casefold(): name for name in schema.names}
        own = {name.casefold() for name in schema.names if _is_image(schema.field(name).type)}
        self._image = folded.get(column(own, _IMAGE_COLUMNS) or next(iter(sorted(own)), ""), "")
        self._label = folded.get(column(folded, LABEL_COLUMNS), "")
        self._part = folded.get(column(folded, PART_COLUMNS), "")
        if not self._image or not self._label:
            raise NotRead("it has no columns for an image and its label")
        self._is_plain = not str(schema.field(self._image).type).startswith("struct")
        self._names = _class_names(schema.metadata, self._label)
        self._whole = part_at_start(path.rpartition("/")[2]) or part_of(folder_of(path).rpartition("/")[2])

    def read(self, size: int, *, with_bytes: bool) -> Iterator[tuple[Row, bytes | NotRead]]:
        self._check_groups()
        image = [] if self._is_plain else [f"{self._image}.path"]
        columns = [*([self._image] if with_bytes else image), self._label, *([self._part] if self._part else [])]
        total = number = 0
        for batch in self._file.iter_batches(batch_size=_BATCH if with_bytes else 4096, columns=columns):
            for cells in batch.to_pylist():
                number += 1
                held = cells.get(self._image)
                path, data = (None, held) if self._is_plain else ((held or {}).get("path"), (held or {}).get("bytes"))
                row = self._row(number, path, cells)
                if not with_bytes:
                    yield row, b""
                    continue
                total += len(data or b"")
                if total > _FREE + MOST_RATIO * size:
                    raise NotRead(f"it unpacks to more than {MOST_RATIO} times its size, as bombs do")
                if not data:
                    yield row, NotRead("its bytes are not in the file")
                elif len(data) > MOST_BYTES:
                    yield row, too_large(len(data))
                else:
                    yield row, data

    def _row(self, number: int, path: object, cells: dict[str, Any]) -> Row:
        value = cells.get(self._label)
        values = value if isinstance(value, list) else [value]
        labels = tuple(dict.fromkeys(filter(None, (self._named(one) for one in values))))
        part = part_of(str(cells.get(self._part, ""))) or self._whole
        name = path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) else ""
        return Row(f"{self._path}, row {number}", labels, part, name or f"{number:06}")

    def _named(self, value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self._names):
            return self._names[value]
        # Hugging Face writes -1 for no label.
        return "" if self._names and value == -1 else label_text(value).strip()

    def _check_groups(self) -> None:
        about = self._file.metadata
        for number in range(about.num_row_groups):
            group = about.row_group(number)
            packed = sum(group.column(place).total_compressed_size for place in range(group.num_columns))
            unpacked = group.total_byte_size
            if unpacked > _MOST_GROUP or unpacked > 100_000_000 + MOST_RATIO * max(packed, 1):
                raise NotRead(f"a group of its rows unpacks to {unpacked / 1e6:,.0f} MB, more than is taken at once")


def _is_image(kind: Any) -> bool:
    text = str(kind)
    return text.startswith(("binary", "large_binary")) or (text.startswith("struct") and "bytes" in text)


def _class_names(metadata: dict[bytes, bytes] | None, label: str) -> list[str]:
    """The names that Hugging Face keeps for the numbers of a label."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label].get("names") or features[label].get("feature", {}).get("names")
        return [str(name) for name in names]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return []


def _load() -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise AsticaSyncError(f"parquet needs a library that is not installed: {error}", MISSING) from error
    return pq, (pa.ArrowException, OSError, ValueError, EOFError)


class ParquetWriter:
    """``data/train-00000.parquet`` and so on, of at most ``SHARD_BYTES``, with the names of the labels."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        self._target, self._titles = target, titles
        self._numbers = {title: number for number, title in enumerate(titles)}
        self._shards: dict[Part, _OpenShard] = {}
        _load()

    def add(self, sample: ExportSample, data: bytes) -> None:
        shard = self._shards.get(sample.part)
        if shard is None or shard.size > SHARD_BYTES:
            number = 0
            if shard is not None:
                shard.put_into(self._target)
                number = shard.number + 1
            shard = self._shards[sample.part] = _OpenShard(sample.part, number, self._titles)
        shard.add(data, sample.path.rpartition("/")[2], self._numbers[sample.title])

    def finish(self) -> None:
        for shard in self._shards.values():
            shard.put_into(self._target)


class _OpenShard:
    def __init__(self, part: Part, number: int, titles: list[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        features = {"image": {"_type": "Image"}, "label": {"names": titles, "_type": "ClassLabel"}}
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        about = json.dumps({"info": {"features": features}})
        self._schema = pa.schema([("image", image), ("label", pa.int64())], metadata={"huggingface": about})
        self.number, self.size = number, 0
        self._name = f"data/{part}-{number:05}.parquet"
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by put_into
        # Images are compressed already, and a dictionary of them would be built for nothing.
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="none", use_dictionary=False)
        self._rows: list[dict[str, Any]] = []
        self._held = 0

    def add(self, data: bytes, name: str, label: int) -> None:
        text = name.encode("utf-8", "backslashreplace").decode("utf-8")
        self._rows.append({"image": {"bytes": data, "path": text}, "label": label})
        self._held += len(data)
        self.size += len(data)
        if self._held > _GROUP_BYTES or len(self._rows) >= 1000:
            self._write()

    def put_into(self, target: Target) -> None:
        self._write()
        self._writer.close()
        size = self._file.seek(0, io.SEEK_END)
        self._file.seek(0)
        target.add_file(self._name, self._file, size)  # type: ignore[arg-type]
        self._file.close()

    def _write(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._held = [], 0
