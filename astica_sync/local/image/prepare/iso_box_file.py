"""Files made of boxes (ISO/IEC 14496-12; HEIC, AVIF and JPEG 2000 are such): whether one is whole, and its profile."""

import re
from collections.abc import Iterator
from typing import BinaryIO

TRUNCATED = "image file is truncated"
MOST_BOXES = 100

# Without these there is no image; a camera may append boxes of its own.
_NEEDED = (b"ftyp", b"meta", b"mdat", b"moov", b"idat", b"jP  ", b"jp2h", b"jp2c")
_START_OF_CODESTREAM, _START_OF_TILE, _END_OF_CODESTREAM = b"\xff\x4f", b"\xff\x90", b"\xff\xd9"
_ICC_METHODS = (2, 3)
# An entry for metadata: version, number and protection of the item stand before its kind (ISO/IEC 14496-12, 8.11.6).
_EXIF_ENTRY = re.compile(rb"(infe(?:.{8}|.{10}))Exif", re.DOTALL)


def is_cut_off(data: bytes) -> bool:
    """Whether a box that the image needs ends after the file."""
    return any(end > len(data) for kind, _, end in _boxes(data, 0, len(data)) if kind in _NEEDED)


def is_file_cut_off(file: BinaryIO, size: int) -> bool:
    """As ``is_cut_off`` for a file of so many bytes, of which the headers of its boxes alone are read."""
    at = 0
    for _ in range(MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if kind in _NEEDED and at + length > size:
            return True
        if length < 8:
            # The last box, or none at all.
            return False
        at += length
    return False


def hide_exif(data: bytes) -> bytes:
    """The file with its Exif data under another name: broken ones keep Pillow from the pixels of an AVIF. How it is
    turned stands elsewhere in it."""
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            return data[:start] + _EXIF_ENTRY.sub(rb"\1none", data[start:end]) + data[end:]
    return data


def is_codestream_cut_off(data: bytes) -> bool:
    """Whether the tiles of a JPEG 2000 end before its end marker does (ISO/IEC 15444-1, A.4). Decoders pass over it."""
    at = 0
    if not data.startswith(_START_OF_CODESTREAM):
        if is_cut_off(data):
            return True
        at = next((start for kind, start, _ in _boxes(data, 0, len(data)) if kind == b"jp2c"), len(data))
    at += 2
    while (marker := data[at : at + 2]) != _END_OF_CODESTREAM:
        if len(marker) < 2:
            return True
        if marker != _START_OF_TILE:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        elif length := int.from_bytes(data[at + 6 : at + 10], "big"):
            at += max(12, length)
        else:
            # The last tile, which ends with the codestream.
            return _END_OF_CODESTREAM not in data[at:][-64:]
    return False


def find_profile(data: bytes) -> bytes | None:
    """The colour profile of a JPEG 2000 (ISO/IEC 15444-1, I.5.3.3), which Pillow does not read."""
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"jp2h":
            for inner, at, stop in _boxes(data, start, min(end, len(data))):
                if inner == b"colr" and data[at] in _ICC_METHODS:
                    return data[at + 3 : stop]
    return None


def _boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box, where its content starts, and where it ends, which may be after the data."""
    while at + 8 <= stop:
        size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = at + size if size else stop
        if end < start:
            return
        yield kind, start, end
        at = end
