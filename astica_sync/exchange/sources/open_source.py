"""Opens a source by what it is: a folder or an object of a bucket, a folder, an archive by its first bytes."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.folder import FolderSource
from astica_sync.exchange.sources.source import NotRead, Source, SourceFile, SourceLost, lost_source
from astica_sync.exchange.sources.tar_archive import TarSource
from astica_sync.exchange.sources.zip_archive import ZipSource
from astica_sync.system.error_advice import remedy

BUCKETS = ("s3", "gs", "az", "abfs", "abfss", "r2")
_FILES = (".zip", ".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz", ".parquet", ".7z", ".rar", ".zst")
"""An address in a bucket that ends so may be one file, and is asked for."""
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_READ_AS_TABLES = (*_TABLES, ".json", ".txt")
_HEAD = 512
_ZIPPED = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_OTHER_ARCHIVES = {
    b"7z\xbc\xaf": "7z",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}


@contextlib.contextmanager
def open_source(given: str, encoding: str | None = None) -> Iterator[Source]:
    """The source of this address or path. ``encoding`` is that of the names in a zip archive that are not in UTF-8.

    Raises:
        AsticaSyncError: there is none, or it cannot be read.
    """
    with contextlib.closing(_open(given, encoding)) as source:
        yield source


def _open(given: str, encoding: str | None) -> Source:
    if not given:
        raise AsticaSyncError("no source is named", "Name a folder, an archive or a bucket.")
    scheme = urlsplit(given).scheme if "://" in given else ""
    if scheme in BUCKETS:
        return _open_in_bucket(given, encoding)
    if scheme == "file":
        parts = urlsplit(given)
        if parts.netloc not in ("", "localhost"):
            raise AsticaSyncError(f"{given} names another machine", "Write file:///path/of/the/folder.")
        return _open(unquote(parts.path), encoding)
    if scheme:
        raise AsticaSyncError(
            f"{scheme}:// is not read: {given}",
            f"Download it and name the file, or use one of {', '.join(f'{one}://' for one in BUCKETS)}, file://.",
        )
    path = Path(given)
    try:
        if path.is_dir():
            return FolderSource(path)
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise AsticaSyncError(
            f"{given} cannot be read: {error.strerror}", remedy(error, path, writing=False)
        ) from error
    if is_table(path.name):
        return TableSource(path)
    return _open_file(given, head, lambda: path.open("rb"), lambda: FileSource(path), encoding)


def is_table(name: str) -> bool:
    """Whether a file is a table of labels, by its name."""
    return name.casefold().endswith(_TABLES)


def _open_in_bucket(given: str, encoding: str | None) -> Source:
    from astica_sync.exchange.sources.bucket import BucketSource, ObjectSource
    from astica_sync.exchange.sources.bucket_object import find_object

    name = unquote(urlsplit(given).path).rpartition("/")[2]
    if not name.casefold().endswith(_FILES):
        return BucketSource(given)
    found = find_object(given)
    if found is None or not found.size:
        # A folder may have such a name, and some buckets have an empty object for each folder.
        folder = BucketSource(given)
        if folder.entries():
            return folder
        if found is None:
            raise AsticaSyncError(f"{given} is not in the bucket", "Check the address: capitals count.")
        raise AsticaSyncError(f"{given} is empty", "Copy it to the bucket again.")
    try:
        head = bytes(found.read(0, min(found.size, _HEAD)))
    except SourceLost as lost:
        raise lost_source(given, lost) from lost
    return _open_file(given, head, found.open, lambda: ObjectSource(given, name, found), encoding)


def _open_file(
    name: str, head: bytes, opener: Callable[[], BinaryIO], alone: Callable[[], Source], encoding: str | None
) -> Source:
    """A file that begins with ``head``; ``alone`` makes a source that has nothing else."""
    if head.startswith(_ZIPPED):
        return ZipSource(name, opener, encoding)
    if head.startswith(_PACKED) or head[257:262] == b"ustar" or name.endswith(".tar"):
        return TarSource(name, opener)
    if head.startswith(b"PAR1") or name.endswith(".parquet"):
        return alone()
    kind = next((kind for magic, kind in _OTHER_ARCHIVES.items() if head.startswith(magic)), "")
    if kind:
        raise AsticaSyncError(f"{name} is a {kind} archive, which is not read", "Unpack it, and import the folder.")
    raise AsticaSyncError(
        f"{name} is neither a folder nor an archive (zip, tar, tar.gz, tar.bz2, tar.xz) nor parquet",
        "Name the folder that has the images, or a table of labels (csv, tsv, jsonl) in it.",
    )


class TableSource(FolderSource):
    """The folder of a table of labels, without its other tables: the table alone says what is imported."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self.name: str = str(path)
        self._table = path.name

    def entries(self) -> list[SourceFile]:
        listed = super().entries()
        return [one for one in listed if one.path == self._table or not one.path.casefold().endswith(_READ_AS_TABLES)]


class FileSource(FolderSource):
    """One file, as a folder that has nothing else."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self.name: str = str(path)
        self._file = path.name

    def entries(self) -> list[SourceFile]:
        try:
            size = os.stat(self._root / self._file).st_size  # noqa: PTH116 - as the walk of a folder
        except OSError as error:
            raise NotRead(str(error.strerror)) from error
        return [SourceFile(self._file, size, self._file)]
