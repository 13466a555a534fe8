"""Images in formats that the service does not take, which are converted before they are sent."""

import io
from typing import Any

from PIL import Image

FORMATS = ("webp", "tiff", "cmyk")
"""The words of ``core.recipe`` that tests try where the format makes no difference."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "webp": {"format": "WEBP", "quality": 95},
    "tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    "cmyk": {"format": "JPEG", "quality": 95},
    "bmp": {"format": "BMP"},
    "gif": {"format": "GIF"},
}
EXTENSIONS = {"webp": "webp", "tiff": "tif", "cmyk": "jpg", "bmp": "bmp", "gif": "gif"}


def encode(image: Image.Image, word: str, *, turned: int = 1, camera: str = "", taken: str = "") -> bytes:
    """The image in the format that the word stands for; ``turned`` is the EXIF orientation."""
    exif = Image.Exif()
    if turned != 1:
        exif[0x0112] = turned
    if camera:
        exif[0x0110] = camera
    if taken:
        exif[0x0132] = taken
    file = io.BytesIO()
    image = image.convert("CMYK") if word == "cmyk" else image
    image.save(file, **_OPTIONS[word], **({"exif": exif} if len(exif) else {}))
    return file.getvalue()
