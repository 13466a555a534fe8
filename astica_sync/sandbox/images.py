"""From the ``input`` of a request to an image: base64, data URI or URL, then a decode that is cheap but complete."""

import base64
import binascii
import io
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 20_000_000
"""20 MB, from the vendor's vision pages."""

MAX_SIDE = 16_000
"""Pixels, from the vendor's vision pages."""

SMALL = 96
"""A decoded side above this is of no use to the classifier, so a JPEG is decoded at a fraction of its size."""


class BadInput(Exception):
    """The input cannot be used; the text says why. ``too_large`` tells the one case that has its own status."""

    def __init__(self, text: str, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large


class NoImage(BadInput):
    """The input's bytes are no image."""


def is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def read_input(text: str) -> bytes:
    """The bytes of a bare base64 text or a data URI.

    Raises:
        BadInput: neither of the two, or more than 20 MB.
    """
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise BadInput("Invalid input: a data URI must be base64")
    if len(text) > MAX_BYTES * 4 // 3 + 1024:
        raise BadInput("Image is too large: more than 20 MB", too_large=True)
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        try:
            content = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise NoImage("Invalid input: neither base64 nor an https URL") from None
    if len(content) > MAX_BYTES:
        raise BadInput("Image is too large: more than 20 MB", too_large=True)
    return content


def fetch(url: str) -> bytes:
    """The bytes behind a URL; https anywhere, plain http on this machine alone, no redirects.

    Raises:
        BadInput: the address is not allowed, does not answer, or gives more than 20 MB.
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
            content = answer.read(MAX_BYTES + 1)
    except HTTPError as error:
        error.close()
        raise BadInput(f"Unable to fetch the input: HTTP status {error.code}") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"Unable to fetch the input: {type(error).__name__}") from None
    if len(content) > MAX_BYTES:
        raise BadInput("Image is too large: more than 20 MB", too_large=True)
    return bytes(content)


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine and nothing else."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def open_image(content: bytes) -> "Image.Image":
    """A fully decoded RGB image; a JPEG comes at the smallest fraction of its size that is still useful.

    All bytes are decoded either way, so a truncated file is noticed.

    Raises:
        NoImage: not a whole PNG or JPEG.
        BadInput: larger than 16000 x 16000 pixels, or a decompression bomb.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        if max(image.size) > MAX_SIDE:
            raise BadInput("Image is too large: more than 16000 pixels", too_large=True)
        image.draft("RGB", (SMALL, SMALL))
        if image.mode in ("P", "RGBA", "LA", "PA"):
            canvas = Image.new("RGBA", image.size, "white")
            canvas.alpha_composite(image.convert("RGBA"))
            return canvas.convert("RGB")
        return image.convert("RGB")
    except BadInput:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadInput("Image is too large: too many pixels", too_large=True) from None
    except Exception as error:  # noqa: BLE001 - a decoder fails with many types on hostile bytes
        raise NoImage(f"Invalid image: {type(error).__name__}") from None
