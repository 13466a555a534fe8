"""Images that a program has in memory, as PNG: those of PIL, and arrays of numpy."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from astica_sync.errors import AsticaSyncError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as PilImage

Images = Union[str, Path, bytes, "PilImage", "NDArray[Any]"]
"""A file, a folder, a pattern, an https address, the bytes of one image, an image of PIL, or an array of numpy."""

_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""What PNG keeps exactly."""


def encode_image(image: object) -> bytes | None:
    """The image as PNG, with the same pixels; None where it is neither of PIL nor of numpy. An image of PIL is turned
    as its EXIF tag says.

    Raises:
        AsticaSyncError: PNG cannot keep its pixels, or they cannot be read.
    """
    from PIL import Image

    if isinstance(image, Image.Image):
        return _encode(image)
    # Who has an array has imported numpy.
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(image, numpy.ndarray):
        return None
    shape = image.shape[:2] if image.ndim == 3 and image.shape[2] == 1 else image.shape
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    if image.dtype != numpy.uint8 or not fits or not image.size:
        raise AsticaSyncError(
            f"an array of {image.dtype} with the shape {image.shape} is no image",
            "Pass uint8 from 0 to 255 with the shape (height, width), (height, width, 3) or (height, width, 4), in the "
            "order red, green, blue.",
        )
    return _encode(Image.fromarray(numpy.ascontiguousarray(image.reshape(shape))))


def _encode(image: "PilImage") -> bytes:
    from PIL import ImageOps

    if image.mode not in _MODES:
        raise AsticaSyncError(
            f"an image of mode {image.mode!r} cannot be sent with the same colours",
            'Convert it yourself first, for example with image.convert("RGB").',
        )
    file = io.BytesIO()
    try:
        ImageOps.exif_transpose(image).save(file, "PNG")
    except (OSError, ValueError, SyntaxError) as error:
        raise AsticaSyncError(f"the pixels of an image cannot be read: {error}", "Pass a good image.") from error
    return file.getvalue()
