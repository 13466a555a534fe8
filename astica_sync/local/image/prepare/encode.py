"""Writes an image as PNG or JPEG."""

import io
import zlib
from typing import Any

from PIL import Image

from astica_sync.local.image.format import MAX_BYTES

_INSTEAD = "a JPEG, since its PNG would be larger than the service accepts"


class _TooLarge(Exception):
    """More was written than the service accepts."""


class _BoundedFile(io.BytesIO):
    """A file in memory that ends with an error as soon as it is too large to be sent."""

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        if self.tell() > MAX_BYTES:
            raise _TooLarge
        return written


def encode(image: Image.Image, *, lossless: bool, quality: int, exif: bytes = b"") -> tuple[bytes, list[str]]:
    """The bytes of the image in mode L or RGB, and what is to be known of them. ``exif`` is its metadata."""
    # What the source says of itself would be written as well.
    image.info = {}
    notes = []
    if lossless:
        try:
            return _encode_png(image, exif), []
        except _TooLarge:
            notes.append(_INSTEAD)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=0, exif=exif)
    return file.getvalue(), notes


def _encode_png(image: Image.Image, exif: bytes) -> bytes:
    file = _BoundedFile()
    # Runs alone, after the filters: on photos a sixth of the time of zlib's default, and no larger.
    image.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE, exif=exif)
    return file.getvalue()
