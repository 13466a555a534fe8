"""The process in which images are decoded: ``python -m astica_sync.local.image.decoder_process MEMORY SECONDS``.

It reads only its standard input, can write no file, has no secrets, and ends with the program that started it. The
system bounds its memory (bytes) and its processor time (seconds per image).
"""

import importlib
import io
import os

from PIL import JpegImagePlugin, PngImagePlugin

from astica_sync.local.image.format import broken, damaged, dimensions, judge_sides, sniff
from astica_sync.local.image.strict_png import check_png, pixel_chunks
from astica_sync.local.image.worker_process import run

# Up to this size Pillow decodes the whole raster of a PNG, 256 MB; JPEGs are decoded at an eighth of their size.
RASTER_PIXELS = 64_000_000


def check_image(data: bytes) -> str | None:
    """None when every pixel of the PNG or JPEG can be decoded; else the reason and what to do.

    Metadata, and bytes after the image, do not decide; but each chunk of a PNG must match its checksum.
    """
    try:
        return _check_png_pixels(data) if sniff(data) == "png" else _check_jpeg_pixels(data)
    except MemoryError:
        return broken("its decode takes too much memory")
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever the bytes provoke
        return broken(_one_line(str(error) or type(error).__name__))


def _check_jpeg_pixels(data: bytes) -> str | None:
    # Imported here, so that the worker sets it up first; see main().
    from astica_sync.local.image.strict_jpeg import NotSupported, find_damage

    sides = dimensions(data)
    if sides is not None and (reason := judge_sides(*sides)):
        return reason
    try:
        damage = find_damage(data)
    except NotSupported:
        # The class by name: Image.open would bring in other formats, and a limit far below that of the service. At an
        # eighth of the size the data are still read to their end, for a 64th of the memory.
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        image.draft(None, (1, 1))
        image.load()
        return judge_sides(*sides) if sides else broken("no dimensions in its header")
    return None if damage is None else damaged(_one_line(damage))


def _check_png_pixels(data: bytes) -> str | None:
    if (sides := dimensions(data)) and (reason := judge_sides(*sides)):
        return reason
    check_png(data)
    image = PngImagePlugin.PngImageFile(io.BytesIO(pixel_chunks(data)))
    if image.width * image.height <= RASTER_PIXELS:
        image.load()
    return None


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))[:200]


def answer(data: bytes) -> bytes:
    """The reason why an image is broken; empty where it is not."""
    return (check_image(data) or "").encode()


def main() -> None:
    # numpy, which simplejpeg imports, would reserve memory for a thread on each core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Before the limit on memory, which the import would reach.
    importlib.import_module("astica_sync.local.image.strict_jpeg")
    run(answer)


if __name__ == "__main__":
    main()
