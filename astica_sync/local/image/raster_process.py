"""The process in which images are made small: ``python -m astica_sync.local.image.raster_process MEMORY SECONDS``.

As ``decoder_process`` it reads only its standard input, writes no file, has no secrets, and is bounded in memory and in
processor time. PNG and JPEG alone are opened, whatever a file is called.
"""

import io

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
        small = _flatten(_open(data, kind, side), side, square=square)
    except Exception:  # noqa: BLE001 - Pillow raises whatever the bytes provoke; MemoryError is one of it
        return b""
    return SIZE.pack(*small.size) + small.tobytes()


def _open(data: bytes, kind: str, side: int) -> Image.Image:
    # The two classes by name: Image.open would bring in other formats, and with some of them other programs.
    opened: ImageFile.ImageFile
    if kind == "png":
        opened = PngImagePlugin.PngImageFile(io.BytesIO(data))
    else:
        opened = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        # A fraction of the size, twice the raster's, is enough.
        opened.draft(None, (2 * side, 2 * side))
    return ImageOps.exif_transpose(opened)


def _flatten(image: Image.Image, side: int, *, square: bool) -> Image.Image:
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


def main() -> None:
    # Limits of Pillow on metadata and pixels, below what is accepted here; the memory of the process is bounded.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 30
    run(answer)


if __name__ == "__main__":
    main()
