"""A data set in a zip archive, read member by member; nothing is unpacked to the disk."""

import contextlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO, BinaryIO, cast

from astica_sync.core.exchange.source_path import path_fault, plain_path
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.source import (
    MOST_BYTES,
    MOST_FILES,
    MOST_RATIO,
    MOST_TABLE,
    NotRead,
    SourceFile,
    SourceLost,
    lost_source,
    read_bounded,
    too_large,
)

_NO_DATE = (1980, 1, 1, 0, 0, 0)
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_SMALL = 1_000_000
"""What unpacks to no more bytes harms no one, whatever its ratio."""
_MOST_DIRECTORY = 1_000_000_000
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


class ZipSource:
    """Reads one zip archive. ``encoding`` is that of names that are not marked as UTF-8, where the user names it."""

    def __init__(self, name: str, opener: Callable[[], BinaryIO], encoding: str | None = None) -> None:
        self.name: str = name
        self.ended_early: str = ""
        self._encoding = encoding
        with contextlib.ExitStack() as opened:
            try:
                file = opened.enter_context(opener())
                _check_directory(file)
                self._zip = opened.enter_context(zipfile.ZipFile(file))
            except SourceLost as lost:
                raise lost_source(self.name, lost) from lost
            except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, UnicodeError) as error:
                raise AsticaSyncError(
                    f"{name} is no whole zip archive: {error}",
                    "The list of its files is at its end: download or copy it again.",
                ) from error
            except OSError as error:
                raise AsticaSyncError(
                    f"{name} cannot be read: {error.strerror or error}", "Download or copy it again, or check the disk."
                ) from error
            # One that lies in a bucket is read forward.
            self._infos = sorted(self._zip.infolist(), key=lambda info: info.header_offset)
            if len(self._infos) > MOST_FILES:
                raise AsticaSyncError(
                    f"{name} has {len(self._infos):,} files, more than the {MOST_FILES:,} that are taken at once",
                    "Divide it into several archives.",
                )
            self._opened = opened.pop_all()
        for info in self._infos:
            # Of a hundred thousand files this takes tens of MB.
            info.date_time = _NO_DATE
        self._entries: list[SourceFile] | None = None

    def entries(self) -> Sequence[SourceFile]:
        if self._entries is None:
            self._entries = [self._entry(number, info) for number, info in enumerate(self._infos) if not info.is_dir()]
        return self._entries

    def open(self, entry: SourceFile) -> BinaryIO:
        info = self._infos[int(entry.place)]
        if info.file_size > MOST_TABLE and not info.filename.endswith((".tar", ".parquet")):
            raise too_large(info.file_size)
        try:
            return cast(BinaryIO, _Member(self._zip.open(info)))
        except _DAMAGED as error:
            raise _not_read(error) from error

    def stream(self, wanted: Callable[[SourceFile], bool]) -> Iterator[tuple[SourceFile, bytes | NotRead]]:
        for entry in self.entries():
            if wanted(entry):
                yield entry, self._read(entry)

    def close(self) -> None:
        self._opened.close()

    def _read(self, entry: SourceFile) -> bytes | NotRead:
        try:
            with self._zip.open(self._infos[int(entry.place)]) as file:
                return read_bounded(cast(BinaryIO, file), MOST_BYTES)
        except NotRead as reason:
            return reason
        except _DAMAGED as error:
            return _not_read(error)

    def _entry(self, number: int, info: zipfile.ZipInfo) -> SourceFile:
        path = plain_path(self._name(info))
        mode = info.external_attr >> 16
        fault = path_fault(path)
        if stat.S_IFMT(mode) == stat.S_IFLNK:
            fault = "it is a symbolic link, which is not followed"
        elif info.flag_bits & _ENCRYPTED:
            fault = "it is encrypted: unpack the archive with its password, and import the folder"
        elif info.file_size > _SMALL and info.file_size > MOST_RATIO * max(info.compress_size, 1):
            fault = (
                f"it unpacks to {info.file_size / max(info.compress_size, 1):,.0f} times its size "
                f"({info.file_size / 1e6:,.0f} MB), as bombs do and images do not"
            )
        return SourceFile(path, info.file_size, number, fault)

    def _name(self, info: zipfile.ZipInfo) -> str:
        """The name: as UTF-8 where it is that, marked or not, else in the code page that was named or that of DOS."""
        name = info.orig_filename
        if info.flag_bits & _UTF8_NAME or name.isascii():
            return name
        raw = name.encode("cp437", "surrogateescape")
        for encoding in ("utf-8", self._encoding):
            if encoding is not None:
                try:
                    return raw.decode(encoding)
                except UnicodeDecodeError:
                    continue
        return name


class _Member(io.RawIOBase):
    """An open member, whose damage is an ``OSError`` to who reads it."""

    def __init__(self, member: IO[bytes]) -> None:
        self._member = member

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._member.read(size)
        except _DAMAGED as error:
            raise OSError(str(error)) from error

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._member.seek(offset, whence)

    def tell(self) -> int:
        return self._member.tell()

    def close(self) -> None:
        self._member.close()
        super().close()


def _check_directory(file: BinaryIO) -> None:
    """Refuses a list of files that would not fit into memory: it is read at once.

    Raises:
        BadZipFile: it is too long.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        return
    length = struct.unpack_from("<L", tail, at + 12)[0]
    wide = tail.rfind(b"PK\6\6", 0, at)
    if length == 0xFFFFFFFF and wide >= 0 and len(tail) - wide >= 56:
        length = struct.unpack_from("<Q", tail, wide + 40)[0]
    if length > min(size, _MOST_DIRECTORY):
        raise zipfile.BadZipFile(f"the list of its files would take {length / 1e6:,.0f} MB")


def _not_read(error: Exception) -> NotRead:
    if isinstance(error, NotImplementedError):
        return NotRead(f"it is packed in a way that is not supported ({error}): unpack the archive, import the folder")
    return NotRead(f"it is damaged in the archive: {error}")
