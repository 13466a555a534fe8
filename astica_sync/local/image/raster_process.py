"""The process in which images are made small: ``python -m astica_sync.local.image.raster_process MEMORY SECONDS``.

As ``decoder_process`` it reads only its standard input, writes no file, has no secrets, and is bounded in memory and in
processor time. PNG and JPEG alone are opened, whatever a file is called.
"""

import io
from typing import Literal

from PIL import Image, ImageFile, ImageOps, ImageStat, JpegImagePlugin, PngImagePlugin

from astica_sync.local.image.format import sniff
from astica_sync.local.image.rasterizer import REQUEST, SIZE
from astica_sync.local.image.worker_process import run

_LEAST_CONTRAST = 3.0


def render(data: bytes, side: int, *, square: bool) -> bytes:
    """The image upright, in 8 bits of red, green and blue, without transparency, and small; empty if it is no PNG or
    JPEG that can be decoded."""
    kind = sniff(data)
    if kind is None:
        return b""
    try:
        small = flatten(ImageOps.exif_transpose(open_small(data, kind, side)), side, square=square)
    except Exception:  # noqa: BLE001 - Pillow raises whatever the bytes provoke; MemoryError is one of it
        return b""
    return SIZE.pack(*small.size) + small.tobytes()


def open_small(data: bytes, kind: Literal["png", "jpeg"], side: int) -> ImageFile.ImageFile:
    """The image, not yet decoded; of a JPEG a fraction of its pixels, where these are enough for rasters of this side.

    Raises:
        Exception: whatever the bytes provoke.
    """
    # The two classes by name: Image.open would bring in other formats, and with some of them other programs.
    if kind == "png":
        return PngImagePlugin.PngImageFile(io.BytesIO(data))
    opened = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    # A fraction of the size, twice the raster's, is enough.
    opened.draft(None, (2 * side, 2 * side))
    return opened


def flatten(image: Image.Image, side: int, *, square: bool) -> Image.Image:
    """The upright image in 8 bits of red, green and blue, without transparency, and small."""
    if image.mode.startswith("I"):
        # 16 bits of grey, of which Pillow would keep the lowest 8.
        image = image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    size = (side, side)
    if not square:
        scale = min(1.0, side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    # "RGBa": a transparent pixel has a colour, which must not mix into its neighbours.
    clear = (
        image.convert("RGBA").convert("RGBa").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).convert("RGBA")
    )
    on_white = _over(clear, "white")
    flat = max(ImageStat.Stat(on_white).stddev) < _LEAST_CONTRAST
    return _over(clear, "black") if flat else on_white


def _over(image: Image.Image, colour: str) -> Image.Image:
    ground = Image.new("RGBA", image.size, colour)
    ground.alpha_composite(image)
    return ground.convert("RGB")


def answer(request: bytes) -> bytes:
    """The answer to one request."""
    side, square = REQUEST.unpack_from(request)
    return render(request[REQUEST.size :], side, square=square)


def lift_limits() -> None:
    """Lifts Pillow's limits on metadata and pixels, below what is accepted here; the memory of the process is
    bounded."""
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 30


def main() -> None:
    lift_limits()
    run(answer)


if __name__ == "__main__":
    main()
