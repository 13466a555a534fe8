"""Checks an image and makes it small in one go: a JPEG is decoded once for both."""

from typing import Literal

from PIL import Image, ImageOps

from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import dimensions, is_frame, jpeg_segments, judge_sides, sniff
from astica_sync.local.image.raster_process import flatten, open_small
from astica_sync.local.image.strict_jpeg import decode_sound

_COLOURS: dict[str, Literal["GRAY", "RGBX"]] = {"L": "GRAY", "RGB": "RGBX"}
_YCBCR_IDS = b"\1\2\3"


def check_and_render(data: bytes, side: int) -> Image.Image | None:
    """The raster that ``raster_process.render`` makes of an image in which ``decoder_process.check_image`` finds
    nothing.

    None where one of the two finds something, and where it takes both of them to tell: for kinds of JPEG that are
    rare, and for what the strict decoder warns of.
    """
    kind = sniff(data)
    try:
        if kind is None or (kind == "png" and check_image(data) is not None):
            return None
        image = open_small(data, "png", side) if kind == "png" else _open_sound_jpeg(data, side)
        ImageOps.exif_transpose(image, in_place=True)
        return flatten(image, side, square=False)
    except Exception:  # noqa: BLE001 - decoders raise whatever the bytes provoke; MemoryError is one of it
        return None


def _open_sound_jpeg(data: bytes, side: int) -> Image.Image:
    """
    Raises:
        ValueError: nothing is known of it.
        Exception: whatever the bytes provoke.
    """
    opened = open_small(data, "jpeg", side)
    sides = dimensions(data)
    if sides is None or judge_sides(*sides) is not None or not _has_usual_colours(opened, data):
        raise ValueError
    pixels = decode_sound(data, _COLOURS[opened.mode], opened.size, whole=opened.size == sides)
    if pixels.shape[1::-1] != opened.size:
        raise ValueError
    raw = "L" if opened.mode == "L" else "RGBX"
    image = Image.frombuffer(opened.mode, opened.size, pixels, "raw", raw, 0, 1)
    # How it is turned.
    image.info = opened.info
    return image


def _has_usual_colours(opened: Image.Image, data: bytes) -> bool:
    """Whether its colours are the same without its application data."""
    if opened.mode == "L":
        return True
    if opened.mode != "RGB" or ("adobe" in opened.info and opened.info.get("adobe_transform") != 1):
        return False
    start = next(start for marker, start, _ in jpeg_segments(data) if is_frame(marker))
    # Number of components, then three bytes of each, of which the first is its identifier (ITU-T T.81, B.2.2).
    return data[start + 10 : start + 19 : 3] == _YCBCR_IDS
