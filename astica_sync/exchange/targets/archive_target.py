"""An archive that an export is written to, under another name until it is whole."""

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import BinaryIO, Protocol

from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.exchange.targets.folder_target import FolderTarget
from astica_sync.file_owner import create_private
from astica_sync.local.filesystem import CHUNK, FileSystem, temp_name
from astica_sync.system.error_advice import remedy

_TARS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
_EPOCH = (1980, 1, 1, 0, 0, 0)


class OpenTarget(Protocol):
    def add(self, path: str, data: bytes) -> None: ...

    def add_file(self, path: str, file: BinaryIO, size: int) -> None: ...

    def close(self) -> None:
        """It is whole."""

    def abandon(self) -> None:
        """It is not whole."""


def is_archive(path: Path) -> bool:
    """Whether a target of this name is an archive."""
    return path.name.casefold().endswith((".zip", *_TARS))


def without_ending(path: Path) -> str:
    """The path of an archive without the ending that makes it one."""
    shown = os.fspath(path)
    ending = max((one for one in (".zip", *_TARS) if path.name.casefold().endswith(one)), key=len, default="")
    return shown[: len(shown) - len(ending)]


def open_target(path: Path, *, into: bool) -> OpenTarget:
    """The target of this name: an archive where its ending is that of one, else a folder.

    Raises:
        AsticaSyncError: it exists, or cannot be made.
    """
    name = path.name.casefold()
    mode = next((mode for ending, mode in _TARS.items() if name.endswith(ending)), None)
    if not is_archive(path):
        return FolderTarget(path, into=into)
    if os.path.lexists(path):
        raise AsticaSyncError(f"{path} exists, and no archive is overwritten", "Name a new one.")
    if into:
        raise AsticaSyncError("--into is for a folder", "Leave it out, or name a folder.")
    try:
        return ZipTarget(path) if mode is None else TarTarget(path, mode)
    except OSError as error:
        raise StoreError(f"{path} cannot be created: {error.strerror}", remedy(error, path)) from error


class _ArchiveTarget:
    def __init__(self, path: Path) -> None:
        self._path, self._temp = path, temp_name(path.absolute())
        self._files = FileSystem()
        self._file = open(create_private(self._temp, os.O_RDWR, 0o666), "w+b")  # noqa: SIM115 - closed at the end
        self._names: set[str] = set()

    def _claim(self, path: str) -> None:
        if path in self._names:
            raise AsticaSyncError(f"{path} would be in the archive twice", "Export into a folder.")
        self._names.add(path)

    def _finish(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._files.publish_new(self._temp, self._path)
        except FileExistsError:
            raise AsticaSyncError(
                f"{self._path} exists now, and no archive is overwritten", "Name a new one."
            ) from None
        except OSError as error:
            raise self._refused(error) from error

    def abandon(self) -> None:
        self._file.close()
        self._files.remove(self._temp)

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(f"{self._path} cannot be written: {error.strerror}", remedy(error, self._path))


class ZipTarget(_ArchiveTarget):
    """Images are stored as they are: they are compressed already."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._zip = zipfile.ZipFile(self._file, "w")

    def add(self, path: str, data: bytes) -> None:
        self.add_file(path, io.BytesIO(data), len(data))

    def add_file(self, path: str, file: BinaryIO, size: int) -> None:
        self._claim(path)
        info = zipfile.ZipInfo(_printable(path), _EPOCH)
        info.external_attr = 0o100644 << 16
        info.file_size = size
        try:
            with self._zip.open(info, "w", force_zip64=size > 1 << 30) as member:
                while piece := file.read(CHUNK):
                    member.write(piece)
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        try:
            self._zip.close()
        except OSError as error:
            raise self._refused(error) from error
        self._finish()


class TarTarget(_ArchiveTarget):
    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path)
        self._tar = tarfile.open(fileobj=self._file, mode=mode)  # type: ignore[call-overload]  # noqa: SIM115

    def add(self, path: str, data: bytes) -> None:
        self.add_file(path, io.BytesIO(data), len(data))

    def add_file(self, path: str, file: BinaryIO, size: int) -> None:
        self._claim(path)
        info = tarfile.TarInfo(_printable(path))
        info.size, info.mode = size, 0o644
        try:
            self._tar.addfile(info, file)
        except OSError as error:
            raise self._refused(error) from error
        # The archive would keep the list of all members.
        self._tar.members = []

    def close(self) -> None:
        try:
            self._tar.close()
        except OSError as error:
            raise self._refused(error) from error
        self._finish()


def _printable(path: str) -> str:
    """A name whose bytes are not UTF-8 cannot be in a table of an archive."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
