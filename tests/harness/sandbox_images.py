"""Small images to send."""

import base64
import io
import struct
import zlib
from typing import Any

from PIL import Image


def draw(colour: Any = "red", kind: str = "PNG", size: tuple[int, int] = (24, 16)) -> bytes:
    """The bytes of an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def claim_size(png: bytes, width: int, height: int) -> bytes:
    """The PNG with another size in its header, as a decompression bomb has it."""
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
