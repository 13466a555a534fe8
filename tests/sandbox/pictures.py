"""Small images to send."""

import base64
import io
from typing import Any

from PIL import Image


def draw(colour: Any = "red", kind: str = "PNG", size: tuple[int, int] = (24, 16)) -> bytes:
    """The bytes of an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
