"""Packs a wheel again with zopfli, which makes the same format some 3 % smaller; the files in it stay the same.

    python release/compress_wheel.py WHEEL

It runs in the environment of the release's tools. zopfli is Google's own encoder, and zopflipy the package that writes
zip files with it.
"""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import zopfli


def compress_wheel(wheel: Path) -> None:
    """Replaces the wheel. The same wheel gives the same bytes."""
    packed = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as opened, zopfli.ZipFile(packed, "w") as written:
        for one in opened.infolist():
            written.writestr(one, opened.read(one))
    _compare(wheel, packed)
    packed.replace(wheel)


def _compare(wheel: Path, packed: Path) -> None:
    if list(_content(wheel)) != list(_content(packed)):
        raise SystemExit(f"{wheel.name}: the packed wheel has other files")


def _content(wheel: Path) -> Iterator[tuple[str, int, bytes]]:
    with zipfile.ZipFile(wheel) as opened:
        for one in opened.infolist():
            yield one.filename, one.external_attr >> 16, opened.read(one)


if __name__ == "__main__":
    compress_wheel(Path(sys.argv[1]))
