"""Whether a file can be a sample, without decoding it: the format, the size, the dimensions.

The scan checks only the first bytes (``sniff``, ``describe``); ``decoder`` checks the whole image, once per content.
"""

import codecs
import re
import struct
from collections.abc import Iterator
from typing import Literal

from astica_sync.core.recipe import OVERSIZED

# The vendor's vision pages state both limits for an input image. "20 MB" is taken as the larger of its two meanings: an
# image that the service refuses costs one request, an image that is refused here could not be sent at all.
MAX_BYTES = 20 * 1024 * 1024
MAX_SIDE = 16_000

# How many bytes of a file ``sniff`` and ``describe`` need.
HEAD_BYTES = 512

OR_IGNORE = "or list it in .astica-ignore"
"""How every reason against an image ends."""
_CONVERT = f"the service accepts PNG or JPEG; convert it, {OR_IGNORE}"
_HEIC = "HEIC image"
_CONVERT_HEIC = f"the service accepts PNG or JPEG; convert it (heif-convert IMAGE.HEIC IMAGE.jpg), {OR_IGNORE}"
_LEAVE_OUT = "not an image; move it out, or list it in .astica-ignore"
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_IMAGE_ENDINGS = frozenset(
    (".png", ".jpg", ".jpeg", ".heic", ".heif", ".avif", ".webp", ".gif", ".bmp", ".tif", ".tiff")
)
TEXTS = ("text file", "web page")
"""What ``describe`` calls text, which no conversion makes an image."""
COPY_AGAIN = "copy it here again"
_COPY_OR_SAVE_AGAIN = f"{COPY_AGAIN}; if it looks right, save it again with an image editor, {OR_IGNORE}"
"""An editor brings nothing back that a file lacks."""

_NUMBER_OF_IMAGES = 0xB001

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "GIF image"),
    (b"BM", "BMP image"),
    (b"II*\0", "TIFF image"),
    (b"MM\0*", "TIFF image"),
    (b"II+\0", "TIFF image"),
    (b"MM\0+", "TIFF image"),
    (b"8BPS", "Photoshop image"),
    (b"\0\0\1\0", "icon"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "JPEG 2000 image"),
    (b"\xff\x0a", "JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "JPEG XL image"),
    (b"%PDF", "PDF document"),
)
# Brands of ISO media files (ISO/IEC 23008-12 annex B, AV1 Image File Format section 6).
_BRANDS = dict.fromkeys((b"avif", b"avis"), "avif") | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"), "heic"
)
# Those that leave open how the image is coded; then another brand of the file says it.
_OPEN_BRANDS = (b"mif1", b"mif2", b"msf1", b"miaf")
_WORDS = {
    "GIF image": "gif",
    "BMP image": "bmp",
    "TIFF image": "tiff",
    "JPEG 2000 image": "jpeg2000",
    "WebP image": "webp",
    _HEIC: "heic",
    "AVIF image": "avif",
}
# The sizes of the header that follows in a BMP; two letters alone may begin any text.
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)


def sniff(head: bytes) -> Literal["png", "jpeg"] | None:
    """The format by the first bytes of a file, regardless of its name; None for what the service does not accept."""
    if head.startswith(_PNG):
        return "png"
    return "jpeg" if head.startswith(_JPEG) else None


def describe(head: bytes, size: int, name: str = "") -> str:
    """Why a file that is not a PNG or JPEG cannot be a sample, and what to do.

    Args:
        head: the first ``HEAD_BYTES`` bytes of the file.
        size: the size of the whole file in bytes.
        name: its name or path, if there is one, for advice about all files with its ending.
    """
    if size == 0:
        return f"empty file: {COPY_AGAIN}, {OR_IGNORE}"
    if head.startswith(b"version https://git-lfs"):
        return f"Git LFS pointer, not the image itself: run 'git lfs pull', {OR_IGNORE}"
    if not head.strip(b"\0"):
        return f"begins with zero bytes, as an incomplete copy does: {COPY_AGAIN}, {OR_IGNORE}"
    kind = _name_format(head)
    if kind in TEXTS and name:
        return f"{kind}: {_advise_text(name)}"
    if kind in TEXTS or kind.startswith("video"):
        return f"{kind}: {_LEAVE_OUT}{_all_such_files(name)}"
    return f"{kind}: {_CONVERT_HEIC if kind == _HEIC else _CONVERT}"


def describe_outside_classes(name: str) -> str | None:
    """Why a file beside the class folders cannot be a sample, and what to do, where it is no image by its name or path;
    else None."""
    if _is_named_as_image(name) or not (rule := _all_such_files(name)):
        return None
    return f"not in a class folder, and by its name not an image: move it out of the store, {OR_IGNORE}{rule}"


def _advise_text(name: str) -> str:
    if _is_named_as_image(name):
        return f"not an image, although its name ends in {_ending_of(name)}; copy the image again, {OR_IGNORE}"
    return f"not an image; move it out of the store, {OR_IGNORE}{_all_such_files(name)}"


def _ending_of(name: str) -> str:
    found = _ENDING.search(name)
    return found[0] if found else ""


def _is_named_as_image(name: str) -> bool:
    return _ending_of(name).lower() in _IMAGE_ENDINGS


def _all_such_files(name: str) -> str:
    """The line of the ignore file for all files with the ending of this name; rules tell upper and lower case apart."""
    ending = _ending_of(name)
    return f" (a line *{ending} leaves out all such files)" if ending else ""


def _name_format(head: bytes) -> str:
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP image"
    if head[4:8] == b"ftyp":
        return {"heic": _HEIC, "avif": "AVIF image"}.get(_name_brand(head), "video or other media file")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text:
        return "SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")):
        return TEXTS[1]
    return TEXTS[0] if _is_text(head) else "not an image in a known format"


def _is_text(head: bytes) -> bool:
    try:
        # Not final: the head may end inside a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text)


def preparable(head: bytes, size: int | None = None) -> str | None:
    """The word of ``core.recipe`` for the format of a file that can be converted, by its first bytes; None for others.

    Args:
        head: ``HEAD_BYTES`` bytes at least, or the whole file. What a JPEG holds is known once its header is all in.
        size: the size of the whole file in bytes, where ``head`` is a part of it.
    """
    kind = sniff(head)
    if kind is not None:
        word = _name_png(head) if kind == "png" else _name_jpeg(head)
        return word or (OVERSIZED if exceeds_limits(size or len(head), dimensions(head)) else None)
    word = _WORDS.get(_name_format(head))
    if word == "bmp" and int.from_bytes(head[14:18], "little") not in _BMP_HEADERS:
        return None
    # "CR" marks a raw photo of Canon's, whose TIFF holds previews alone.
    return None if word == "tiff" and head[8:10] == b"CR" else word


def is_image(head: bytes) -> bool:
    """Whether a file begins as an image that is sent as it is, or converted first; ``head`` as for ``preparable``."""
    return sniff(head) is not None or preparable(head) is not None


def _name_brand(head: bytes) -> str:
    """Of a file in ISO boxes: "heic", "avif", or nothing for a video and all else."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    if brands[0] in _BRANDS:
        return _BRANDS[brands[0]]
    if brands[0] not in _OPEN_BRANDS:
        return ""
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), "heic")


def _name_png(head: bytes) -> str | None:
    return "16bit" if head[12:16] == b"IHDR" and head[24:25] == b"\x10" else None


def _name_jpeg(head: bytes) -> str | None:
    for marker, start, _ in jpeg_segments(head):
        if is_frame(marker):
            # Length, precision, height, width, number of components (ITU-T T.81, B.2.2).
            if head[start + 9 : start + 10] == b"\x04":
                return "cmyk"
            break
    return "mpo" if count_images(head) > 1 else None


def count_images(head: bytes) -> int:
    """How many images a JPEG file holds by its multi-picture index, which is in its header."""
    several = 1
    for marker, start, end in jpeg_segments(head):
        if marker == 0xE2 and head[start + 4 : start + 8] == b"MPF\0":
            several = _read_count(head[start + 8 : end])
        elif is_frame(marker):
            break
    return several


def _read_count(index: bytes) -> int:
    """The number of images in a multi-picture index (CIPA DC-007, 5.2), which is laid out as a TIFF."""
    order = ">" if index.startswith(b"MM") else "<"
    try:
        (start,) = struct.unpack_from(f"{order}I", index, 4)
        (entries,) = struct.unpack_from(f"{order}H", index, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHII", index, at)
            if tag == _NUMBER_OF_IMAGES:
                return int(value)
    except struct.error:
        pass
    return 1


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels by the header of a PNG or JPEG; None where they cannot be read."""
    if sniff(data) == "png":
        return struct.unpack_from(">II", data, 16) if len(data) >= 24 and data[12:16] == b"IHDR" else None
    for marker, start, _ in jpeg_segments(data):
        if is_frame(marker):
            # Length, precision, height, width (ITU-T T.81, B.2.2).
            if start + 9 > len(data):
                return None
            height, width = struct.unpack_from(">HH", data, start + 5)
            return width, height
    return None


def is_frame(marker: int) -> bool:
    """Whether the second byte of a JPEG marker is that of a start of frame."""
    return 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The segments of a JPEG's header: the second byte of the marker, where the marker starts, and where the segment
    ends, which may be after the data. The last one is that of the first scan."""
    at = 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] == 0 or (data[at] == 0xFF and marker == 0xFF):
            # Fillers.
            at += 1
        elif data[at] != 0xFF or marker == 0xD9:
            return
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
            yield marker, at, end
            if marker == 0xDA:
                return
            at = end


def exceeds_limits(size: int, sides: tuple[int, int] | None) -> bool:
    """Whether a file of this many bytes and dimensions is above a limit of the service."""
    return size > MAX_BYTES or (sides is not None and max(sides) > MAX_SIDE)


def judge_bytes(size: int) -> str | None:
    """Why a file of this many bytes cannot be sent, or None."""
    if size <= MAX_BYTES:
        return None
    return f"{size / 1e6:.1f} MB, more than the service's limit of 20 MB: save it smaller, {OR_IGNORE}"


def judge_sides(width: int, height: int) -> str | None:
    """Why an image of these dimensions cannot be sent, or None."""
    if min(width, height) < 1:
        return f"broken image, {width} x {height} pixels: {_COPY_OR_SAVE_AGAIN}"
    if max(width, height) > MAX_SIDE:
        return (
            f"{width} x {height} pixels, more than the service's limit of {MAX_SIDE} on a side: "
            f"make it smaller, {OR_IGNORE}"
        )
    return None


def needs_extra(name: str, extra: str, example: str) -> str:
    """The reason for an image that is checked and converted once an extra of this program is installed."""
    return (
        f"{name}: not checked, as that needs {extra}; install it to have the image converted if it is whole, or "
        f"convert it ({example}), {OR_IGNORE}"
    )


def not_converted(detail: str) -> str:
    """The reason for an image that cannot be converted here, though it may be good."""
    return f"{detail}: convert it to PNG or JPEG with an image editor, {OR_IGNORE}"


def broken(detail: str) -> str:
    """The reason for an image that cannot be decoded completely."""
    return f"broken image, {detail}: {_COPY_OR_SAVE_AGAIN}"


def damaged(detail: str) -> str:
    """The reason for an image of which a part is wrong, though it can be shown."""
    return f"broken image, its data are damaged ({detail}): {_COPY_OR_SAVE_AGAIN}"
