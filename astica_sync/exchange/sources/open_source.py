"""Opens a source by what it is: an address of a bucket, a folder, an archive by its first bytes."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.folder import FolderSource
from astica_sync.exchange.sources.source import NotRead, Source, SourceFile
from astica_sync.exchange.sources.tar_archive import TarSource
from astica_sync.exchange.sources.zip_archive import ZipSource
from astica_sync.system.error_advice import remedy

BUCKETS = ("s3", "gs", "az", "abfs", "abfss", "r2")
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".parquet")
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
        from astica_sync.exchange.sources.bucket import BucketSource

        if given.casefold().endswith(_ARCHIVES):
            raise AsticaSyncError(
                f"{given} is one file in a bucket, and folders of buckets are read",
                "Download it, then import the file; or name the folder that has it.",
            )
        return BucketSource(given)
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
            head = file.read(512)
    except OSError as error:
        raise AsticaSyncError(
            f"{given} cannot be read: {error.strerror}", remedy(error, path, writing=False)
        ) from error
    if head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")):
        return ZipSource(path, encoding)
    if head.startswith(_PACKED) or head[257:262] == b"ustar" or given.endswith(".tar"):
        return TarSource(path)
    if head.startswith(b"PAR1") or given.endswith(".parquet"):
        return FileSource(path)
    name = next((name for magic, name in _OTHER_ARCHIVES.items() if head.startswith(magic)), "")
    if name:
        raise AsticaSyncError(f"{given} is a {name} archive, which is not read", "Unpack it, and import the folder.")
    raise AsticaSyncError(
        f"{given} is neither a folder nor an archive (zip, tar, tar.gz, tar.bz2, tar.xz) nor parquet",
        "Name the folder that has the images; a table of labels is found in it.",
    )


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
