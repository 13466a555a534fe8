"""Packs a wheel again with zopfli, which makes the same format some 3 % smaller; the files in it stay the same.

    python release/compress_wheel.py WHEEL

It runs in the environment of the release's tools: zopfli is Google's own encoder, and stream-zip the one writer of zip
files that takes another encoder by its public interface.
"""

import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from stream_zip import ZIP_32, stream_zip
from zopfli import zlib as zopfli


def compress_wheel(wheel: Path) -> None:
    """Replaces the wheel. The same wheel gives the same bytes."""
    packed = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as opened:
        members = (
            (
                one.filename,
                datetime(*one.date_time, tzinfo=UTC),
                one.external_attr >> 16,
                ZIP_32,
                iter([opened.read(one)]),
            )
            for one in opened.infolist()
        )
        packed.write_bytes(b"".join(stream_zip(members, get_compressobj=_Encoder, extended_timestamps=False)))
    _compare(wheel, packed)
    packed.replace(wheel)


class _Encoder:
    """Is used like ``zlib.compressobj``. Zip files hold what zlib's format has between its first two and last four
    bytes."""

    def __init__(self) -> None:
        self._data = b""

    def compress(self, data: bytes) -> bytes:
        self._data += data
        return b""

    def flush(self) -> bytes:
        return bytes(zopfli.compress(self._data)[2:-4])


def _compare(wheel: Path, packed: Path) -> None:
    if list(_content(wheel)) != list(_content(packed)):
        raise SystemExit(f"{wheel.name}: the packed wheel has other files")


def _content(wheel: Path) -> Iterator[tuple[str, int, bytes]]:
    with zipfile.ZipFile(wheel) as opened:
        for one in opened.infolist():
            yield one.filename, one.external_attr >> 16, opened.read(one)


if __name__ == "__main__":
    compress_wheel(Path(sys.argv[1]))
