"""A data set in a tar archive, compressed or not, read from its beginning to its end; nothing is unpacked."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

from astica_sync.core.exchange.source_path import path_fault, plain_path
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.source import (
    CHUNK,
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

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".yaml", ".yml", ".txt", ".cls", ".parquet")
"""What may have labels: kept in memory while the archive is listed, so that it is not read once more for each."""
_DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
_WRONG = (zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""A checksum, or data that make no sense."""
_MOST_HEADER = 16_000_000
_MOST_XZ_MEMORY = 200_000_000
_FREE = 1_000_000_000
"""So many bytes may come out of an archive whatever its size."""


class TarSource:
    """Reads one tar archive, twice: for the list of its files and the tables, then for the images. ``opener`` opens it
    each time."""

    def __init__(self, name: str, opener: Callable[[], BinaryIO]) -> None:
        self.name: str = name
        self.ended_early: str = ""
        self._opener = opener
        self._entries: list[SourceFile] | None = None
        self._tables: dict[int, bytes] = {}
        self._kept = 0

    def entries(self) -> Sequence[SourceFile]:
        if self._entries is None:
            entries: list[SourceFile] = []
            self._entries = entries
            try:
                self._list(entries)
            except SourceLost as lost:
                self._entries = None
                raise lost_source(self.name, lost) from lost
        return self._entries

    def open(self, entry: SourceFile) -> BinaryIO:
        if int(entry.place) in self._tables:
            return io.BytesIO(self._tables[int(entry.place)])
        if entry.size > MOST_TABLE:
            raise too_large(entry.size)
        for other, member in self._members():
            if other.place == entry.place:
                data = _read(member, MOST_TABLE)
                if isinstance(data, bytes):
                    return io.BytesIO(data)
                raise data
        raise NotRead("the archive ends before it")

    def stream(self, wanted: Callable[[SourceFile], bool]) -> Iterator[tuple[SourceFile, bytes | NotRead]]:
        try:
            for entry, member in self._members():
                if not wanted(entry):
                    continue
                data = _read(member, MOST_BYTES)
                yield entry, data
                if isinstance(data, _CutOff):
                    self.ended_early = str(data)
                    return
        except SourceLost as lost:
            self.ended_early = str(lost)

    def close(self) -> None:
        self._tables.clear()

    def _list(self, entries: list[SourceFile]) -> None:
        for entry, member in self._members():
            if entry.path.lower().endswith(TABLE_SUFFIXES) and not entry.fault and self._is_small(entry):
                data = _read(member, MOST_TABLE)
                if isinstance(data, SourceLost):
                    raise data
                if isinstance(data, bytes):
                    self._tables[int(entry.place)] = data
                    self._kept += len(data)
            entries.append(entry)
        if not entries and self.ended_early:
            raise AsticaSyncError(
                f"{self.name} is no whole tar archive: {self.ended_early}", "Download or copy it again."
            )

    def _is_small(self, entry: SourceFile) -> bool:
        return self._kept + entry.size <= MOST_TABLE

    def _members(self) -> Iterator[tuple[SourceFile, BinaryIO | None]]:
        self.ended_early = ""
        try:
            with self._opener() as raw, _unpacked(raw) as file:
                try:
                    yield from members_of(cast(BinaryIO, file))
                except tarfile.TarError:
                    # A wrong checksum means more than the header that makes no sense because of it.
                    file.read_to_end()
                    raise
                file.read_to_end()
        except SourceLost:
            raise
        except NotRead as reason:
            # It is a file of another source.
            self.ended_early = str(reason)
        except _WRONG as error:
            # What was unpacked so far may be wrong as well, and the list of files is read before any image is written.
            raise AsticaSyncError(
                f"{self.name} is damaged: {error}", "Download or copy it again: any image in it may be wrong."
            ) from error
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno is not None and self._entries is None:
                raise AsticaSyncError(
                    f"{self.name} cannot be read: {error.strerror}", "Download or copy it again, or check the disk."
                ) from error
            self.ended_early = f"it is cut off or damaged ({error})"


def members_of(file: BinaryIO) -> Iterator[tuple[SourceFile, BinaryIO | None]]:
    """The files of an open tar archive, each with its open bytes, which are to be read before the next one.

    Raises:
        TarError, OSError, EOFError: it is damaged from here on.
    """
    count = ended = 0
    with tarfile.open(fileobj=file, mode="r:", errorlevel=1) as tar:
        while (info := tar.next()) is not None:
            # The archive would keep the list of all members.
            tar.members = []  # type: ignore[attr-defined]
            count += 1
            ended = info.offset_data + (-(-info.size // 512) * 512 if info.isreg() else 0)
            if count > MOST_FILES:
                raise tarfile.ReadError(f"more than {MOST_FILES:,} files")
            if info.isdir():
                continue
            path = plain_path(info.name)
            fault = path_fault(path)
            if info.issym() or info.islnk():
                fault = "it is a link in the archive, which is not followed"
            elif not info.isreg():
                fault = "it is not a regular file"
            elif info.issparse():
                fault = "it is a sparse file, which no image is"
            elif not fault and info.size > MOST_BYTES:
                fault = str(too_large(info.size))
            yield SourceFile(path, info.size, count, fault), None if fault else cast(BinaryIO, tar.extractfile(info))
    _require_end(file, ended)


def _require_end(file: BinaryIO, ended: int) -> None:
    """An archive that was cut off between two files has no block of zeros after the last one. The library takes a
    header that it cannot parse for the end."""
    file.seek(ended)
    block = file.read(512)
    if len(block) < 512:
        raise tarfile.ReadError("it has no end")
    if block.strip(b"\0"):
        raise tarfile.ReadError("a header in it is damaged")


class _CutOff(NotRead):
    """Nothing after it can be read either."""


def _read(member: BinaryIO | None, most: int) -> bytes | NotRead:
    if member is None:
        return NotRead("it has no bytes")
    try:
        return read_bounded(member, most)
    except NotRead as reason:
        return reason
    except _DAMAGED as error:
        return _CutOff(f"the archive is cut off or damaged here ({error})")


class _Bounded(io.RawIOBase):
    """Unpacks, with bounds: on one reading, which a false header chooses, and on all bytes by the size of the file."""

    def __init__(self, inner: BinaryIO, raw: BinaryIO) -> None:
        self._inner, self.is_packed = inner, inner is not raw
        self._allowed = _FREE + MOST_RATIO * raw.seek(0, 2)
        raw.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError("a header in it is too long")
        data = self._inner.read(size)
        self._check()
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        at = self._inner.seek(offset, whence)
        self._check()
        return at

    def tell(self) -> int:
        return self._inner.tell()

    def read_to_end(self) -> None:
        """Checks the checksum of all, which comes last where the archive is compressed."""
        while self.is_packed and self.read(CHUNK):
            pass

    def _check(self) -> None:
        if self._inner.tell() > self._allowed:
            raise tarfile.ReadError(f"it unpacks to more than {MOST_RATIO} times its size, as bombs do")


def _unpacked(raw: BinaryIO) -> _Bounded:
    head = raw.read(6)
    raw.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return _Bounded(cast(BinaryIO, gzip.GzipFile(fileobj=raw)), raw)
    if head.startswith(b"BZh"):
        return _Bounded(cast(BinaryIO, bz2.BZ2File(raw)), raw)
    if head.startswith(b"\xfd7zXZ"):
        return _Bounded(cast(BinaryIO, io.BufferedReader(_Xz(raw), 1 << 16)), raw)
    return _Bounded(raw, raw)


class _Xz(io.RawIOBase):
    """Unpacks xz with a bound on memory, which ``lzma.open`` has not; seeks forward only."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._at = raw, 0
        self._decompressor = lzma.LZMADecompressor(memlimit=_MOST_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._decompressor.eof:
            fresh = self._raw.read(1 << 16) if self._decompressor.needs_input else b""
            if self._decompressor.needs_input and not fresh:
                raise EOFError("the file ends in the middle")
            if data := self._decompressor.decompress(fresh, len(view)):
                view[: len(data)] = data
                self._at += len(data)
                return len(data)
        return 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 1:
            offset += self._at
        if whence == 2 or offset < self._at:
            raise OSError("cannot go back")
        while self._at < offset:
            if not self.readinto(bytearray(min(1 << 16, offset - self._at))):
                break
        return self._at
