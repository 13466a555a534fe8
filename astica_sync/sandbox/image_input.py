"""Reads the ``input`` of a request as an image: base64, a data URI or a URL; decoding is fast but complete."""

import base64
import binascii
import io
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 20_000_000
"""20 MB, as on the vendor's vision pages."""

MAX_TEXT_BYTES = 64 << 20

MAX_SIDE = 16_000
"""Pixels, as on the vendor's vision pages."""

SMALL = 96
"""The pixels per side that the classifier needs; a larger JPEG is decoded at a fraction of its size."""


class BadInput(Exception):
    """The input cannot be used; the text says why. ``too_large`` has its own HTTP status."""

    def __init__(self, text: str, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large


class NotAnImage(BadInput):
    """The input is not an image."""


def is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def read_input(text: str, most: int = MAX_BYTES) -> bytes:
    """The bytes of a base64 text or a data URI.

    Raises:
        BadInput: the text is neither, or has more than ``most`` bytes.
    """
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise BadInput("Invalid input: a data URI must be base64")
    if len(text) > most * 4 // 3 + 1024:
        raise _too_large(most)
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        try:
            content = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise NotAnImage("Invalid input: neither base64 nor an https URL") from None
    if len(content) > most:
        raise _too_large(most)
    return content


def _too_large(most: int) -> BadInput:
    return BadInput(f"Image is too large: more than {most / 1e6:g} MB", too_large=True)


def fetch(url: str, most: int = MAX_BYTES) -> bytes:
    """The bytes at a URL: https, or plain http on this machine only; without redirects.

    Raises:
        BadInput: the address is not allowed, does not answer, or answers with more than ``most`` bytes.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() != "https" and not is_loopback(parts.hostname or ""):
        raise BadInput("Invalid input: only https URLs are fetched")

    from urllib import request
    from urllib.error import HTTPError

    opener = request.OpenerDirector()
    for handler in (
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPErrorProcessor,
        request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    try:
        with opener.open(url, timeout=10) as answer:
            content = answer.read(most + 1)
    except HTTPError as error:
        error.close()
        raise BadInput(f"Unable to fetch the input: HTTP status {error.code}") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"Unable to fetch the input: {type(error).__name__}") from None
    if len(content) > most:
        raise _too_large(most)
    return bytes(content)


def is_loopback(host: str) -> bool:
    """Whether an address or name is the loopback interface."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def open_image(content: bytes, largest_side: int = MAX_SIDE, *, turned: bool = False) -> "Image.Image":
    """A fully decoded RGB image; a JPEG has the smallest size that the classifier can use. ``turned``: by its
    orientation tag.

    All bytes are decoded in any case, so a truncated file is detected.

    Raises:
        NotAnImage: the bytes are not a complete PNG or JPEG.
        BadInput: a side of the image is longer than ``largest_side``, or it is a decompression bomb.
    """
    from PIL import Image, ImageOps, PngImagePlugin

    # Text and profiles of a PNG are no part of the picture, and may be longer than the image.
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT_BYTES
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        if max(image.size) > largest_side:
            raise BadInput(f"Image is too large: more than {largest_side} pixels", too_large=True)
        image.draft("RGB", (SMALL, SMALL))
        if turned:
            ImageOps.exif_transpose(image, in_place=True)
        if image.mode in ("P", "RGBA", "LA", "PA"):
            canvas = Image.new("RGBA", image.size, "white")
            canvas.alpha_composite(image.convert("RGBA"))
            return canvas.convert("RGB")
        return image.convert("RGB")
    except BadInput:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadInput("Image is too large: too many pixels", too_large=True) from None
    except Exception as error:  # noqa: BLE001 - decoders raise many types of errors
        raise NotAnImage(f"Invalid image: {type(error).__name__}") from None
