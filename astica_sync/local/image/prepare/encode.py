"""Writes an image as PNG or JPEG."""

import io
import zlib
from typing import Any

from PIL import Image

from astica_sync.local.image.format import MAX_BYTES

_INSTEAD = "a JPEG, since its PNG would be larger than the service accepts"

_SAMPLED, _BANDS = 16, 24
_TOO_LARGE = 1.05
"""Where the estimate is so much above the limit, the image is not encoded to find that out."""


class _TooLarge(Exception):
    """More was written than the service accepts."""


class _BoundedFile(io.BytesIO):
    """A file in memory that ends with an error as soon as it is too large to be sent."""

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        if self.tell() > MAX_BYTES:
            raise _TooLarge
        return written


def encode(
    image: Image.Image, *, lossless: bool, quality: int, exif: bytes = b"", profile: bytes | None = None
) -> tuple[bytes, list[str]]:
    """The bytes of the image in mode L or RGB, and what is to be known of them. ``exif`` is its metadata, ``profile``
    that of its colours where these are not sRGB."""
    # What the source says of itself would be written as well.
    image.info = {}
    notes = []
    if lossless:
        try:
            if _estimate_png(image) <= _TOO_LARGE * MAX_BYTES:
                return _encode_png(image, exif, profile), []
        except _TooLarge:
            pass
        notes.append(_INSTEAD)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=0, exif=exif, icc_profile=profile)
    return file.getvalue(), notes


def _estimate_png(image: Image.Image) -> float:
    """About how many bytes the image has as PNG; 0 for one that is small enough in any case. It is encoded in a 16th of
    the time: rows from all over the image, since runs and filters reach no further than a row or two."""
    width, height = image.size
    if width * height * len(image.getbands()) <= MAX_BYTES:
        return 0
    rows = max(2, height // (_SAMPLED * _BANDS))
    bands = min(_BANDS, max(1, height // rows))
    sample = Image.new(image.mode, (width, rows * bands))
    for band in range(bands):
        top = int((height - rows) * (band + 0.5) / bands)
        sample.paste(image.crop((0, top, width, top + rows)), (0, band * rows))
    file = io.BytesIO()
    sample.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return len(file.getvalue()) * height / (rows * bands)


def _encode_png(image: Image.Image, exif: bytes, profile: bytes | None) -> bytes:
    file = _BoundedFile()
    # Runs alone, after the filters: on photos a sixth of the time of zlib's default, and no larger.
    image.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE, exif=exif, icc_profile=profile)
    return file.getvalue()
