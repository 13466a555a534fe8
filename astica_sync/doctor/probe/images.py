"""The images that a probe uploads, made here; each is small, but for those that are meant to be large."""

import hashlib
import io
import struct
import zlib

from PIL import Image

from astica_sync.core.service_facts.probe_uploads import LYING, STANDING, ProbeUpload

_SIDE = 48
_LARGE_SIDE = 64
_TAG = 0x0112
_RED, _BLUE = (200, 30, 30), (30, 30, 200)
TURN_RIGHT, TURN_LEFT = 6, 8
"""Values of the orientation tag: how the image is turned to be shown."""


def image_for(upload: ProbeUpload, token: str) -> bytes:
    """The image of an upload, another one for each token."""
    seed = f"{token} {upload.name}"
    title, _, number = upload.image.rpartition(" ")
    match upload.image:
        case "noise":
            return _noise(seed, _SIDE)
        case "large noise":
            return _noise(seed, _LARGE_SIDE)
        case "text":
            return f"This is no image. {seed}\n".encode()
        case "tagged jpeg":
            return halves("left", 0, TURN_RIGHT)
        case "one pixel":
            return _png(Image.new("RGB", (1, 1), tuple(hashlib.blake2s(seed.encode()).digest()[:3])))
        case "side 16000" | "side 16001":
            return _png(Image.new("L", (int(number), 8), 90))
        case _ if title == STANDING:
            return halves("left", int(number), TURN_RIGHT)
        case _ if title == LYING:
            return halves("top", int(number), TURN_LEFT)
        case _:
            return _padded(_noise(seed, _SIDE), int(upload.image.split()[0]))


def halves(red: str, number: int, tag: int | None = None) -> bytes:
    """A JPEG of which one half, ``left`` or ``top``, is red and the other one blue; another one for each number."""
    image = Image.new("RGB", (_LARGE_SIDE, _LARGE_SIDE), _BLUE)
    middle = _LARGE_SIDE // 2 + number
    image.paste(_RED, (0, 0, middle, _LARGE_SIDE) if red == "left" else (0, 0, _LARGE_SIDE, middle))
    exif = Image.Exif()
    if tag is not None:
        exif[_TAG] = tag
    made = io.BytesIO()
    image.save(made, "JPEG", quality=90, exif=exif)
    return made.getvalue()


def _noise(seed: str, side: int) -> bytes:
    pixels = hashlib.shake_128(seed.encode()).digest(side * side * 3)
    return _png(Image.frombytes("RGB", (side, side), pixels))


def _png(image: Image.Image) -> bytes:
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()


def _padded(png: bytes, size: int) -> bytes:
    """The PNG with so many bytes in all: a chunk that readers pass over stands before its last one."""
    end = png[-12:]
    data = b"prBe" + bytes(size - len(png) - 12)
    return png[:-12] + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) + end
