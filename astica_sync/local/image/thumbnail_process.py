"""The process that makes small JPEG files: ``python -m astica_sync.local.image.thumbnail_process MEMORY SECONDS``.

As ``raster_process``, by whose rules it decodes images; what it returns is encoded again and has nothing of the
original but its pixels.
"""

import io
import json
import re
from collections.abc import Callable

import simplejpeg
from PIL import Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from astica_sync.local.image.format import preparable, sniff
from astica_sync.local.image.raster_process import render
from astica_sync.local.image.rasterizer import REQUEST, SIZE
from astica_sync.local.image.worker_process import run

QUALITY = 82
_HEAD_BYTES = 1 << 18
# Tags of EXIF 2.32.
_MAKE, _MODEL, _ORIENTATION, _TIME, _DETAILS, _TAKEN = 0x010F, 0x0110, 0x0112, 0x0132, 0x8769, 0x9003
_MOST_LETTERS = 100
_EXIF = re.compile(rb"Exif\0\0(?:II\*\0|MM\0\*)")
_WITH_EXIF: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}


def answer(request: bytes) -> bytes:
    """A JPEG within ``side`` times ``side`` pixels, or what a camera wrote where ``side`` is 0; empty for what is no
    image."""
    side, square = REQUEST.unpack_from(request)
    if not side:
        return _read_camera(request[REQUEST.size :])
    image = None if square else _shrink_fast(memoryview(request)[REQUEST.size :], side)
    if image is None:
        raster = render(request[REQUEST.size :], side, square=square)
        if not raster:
            return b""
        image = Image.frombytes("RGB", SIZE.unpack_from(raster), raster[SIZE.size :])
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _read_camera(data: bytes) -> bytes:
    """The time and the camera that a file names, as JSON. Its pixels are not decoded."""
    try:
        exif = _read_exif(data)
        taken = exif.get_ifd(_DETAILS).get(_TAKEN) or exif.get(_TIME)
        camera = " ".join(str(exif[tag]) for tag in (_MAKE, _MODEL) if tag in exif)
    except Exception:  # noqa: BLE001 - whatever the bytes provoke
        return b""
    found = {"taken": _plain(taken), "camera": _plain(camera)}
    return json.dumps({name: value for name, value in found.items() if value}).encode()


def _read_exif(data: bytes) -> Image.Exif:
    word = "jpeg" if sniff(data) == "jpeg" else preparable(data)
    if word == "heic":
        # The decoder is an extra; the metadata stand in one piece.
        found, exif = _EXIF.search(data), Image.Exif()
        if found is not None:
            exif.load(data[found.start() :])
        return exif
    return _WITH_EXIF[word or ""](io.BytesIO(data)).getexif()


def _plain(value: object) -> str:
    return "".join(letter for letter in str(value or "") if letter.isprintable())[:_MOST_LETTERS].strip()


def _shrink_fast(data: memoryview, side: int) -> Image.Image | None:
    """An intact JPEG, decoded at a fraction of its size, which takes half of Pillow's time; None for all else."""
    head = bytes(data[:_HEAD_BYTES])
    if sniff(head) != "jpeg":
        return None
    try:
        # The header alone is read here; one that is larger is left to the slower way.
        header = JpegImagePlugin.JpegImageFile(io.BytesIO(head))
        if header.mode not in ("RGB", "L") or max(header.size) < 2 * side:
            return None
        wide, high = header.size
        scale = side / max(wide, high)
        pixels = simplejpeg.decode_jpeg(
            data,
            colorspace="RGB",
            fastdct=True,
            fastupsample=True,
            min_width=max(1, int(wide * scale)),
            min_height=max(1, int(high * scale)),
            min_factor=1,
        )
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.HAMMING)
        orientation = header.getexif().get(_ORIENTATION)
        if orientation not in (None, 1):
            turned = Image.Exif()
            turned[_ORIENTATION] = orientation
            image.info["exif"] = turned.tobytes()
            image = ImageOps.exif_transpose(image)
            image.info.pop("exif", None)
    except Exception:  # noqa: BLE001 - whatever the bytes provoke; the slower way judges them
        return None
    return image


def main() -> None:
    # As in ``raster_process``.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 30
    run(answer)


if __name__ == "__main__":
    main()
