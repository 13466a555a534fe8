"""The process in which images are converted: ``python -m astica_sync.local.image.prepare.prepare_process MEMORY
SECONDS``.

As ``decoder_process`` it reads only its standard input, writes no file, has no secrets, and is bounded in memory and in
processor time.
"""

import json
import os

from PIL import Image, PngImagePlugin

from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import broken, not_converted, preparable
from astica_sync.local.image.prepare.encode import encode
from astica_sync.local.image.prepare.first_jpeg import cut_first
from astica_sync.local.image.prepare.open_source import NotConvertible, TooManyPixels, open_source
from astica_sync.local.image.prepare.plain_colours import make_plain
from astica_sync.local.image.prepare.preparer import LIGHT
from astica_sync.local.image.worker_pool import HEAVY_PIXELS
from astica_sync.local.image.worker_process import run

_FIRST = "the first of several images, byte for byte"


def convert(data: bytes, most_pixels: int | None) -> tuple[dict[str, object], bytes]:
    """What is to be known of the image, and the image itself, empty where there is none."""
    word = preparable(data) or ""
    try:
        if word == "mpo":
            return {"notes": [_FIRST]}, _take_first(data)
        source = open_source(data, word, most_pixels)
        image, notes = make_plain(source)
        encoded, more = encode(image, lossless=source.lossless)
    except TooManyPixels as heavy:
        return {"pixels": heavy.pixels}, b""
    except NotConvertible as refusal:
        return {"reason": str(refusal)}, b""
    except MemoryError:
        return {"reason": not_converted("its conversion takes too much memory")}, b""
    except Exception as error:  # noqa: BLE001 - decoders raise whatever the bytes provoke
        return {"reason": broken(_one_line(str(error) or type(error).__name__))}, b""
    return {"notes": [*source.notes, *notes, *more]}, encoded


def _take_first(data: bytes) -> bytes:
    """The first image of several, byte for byte."""
    image = cut_first(data)
    reason = broken("image file is truncated") if image is None else check_image(image)
    if image is None or reason is not None:
        raise NotConvertible(reason)
    return image


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))[:200]


def answer(request: bytes) -> bytes:
    """The answer to one request, see ``preparer``."""
    found, image = convert(request[1:], HEAVY_PIXELS if request[:1] == LIGHT else None)
    return json.dumps(found).encode() + b"\n" + image


def main() -> None:
    # numpy, which simplejpeg imports, would reserve memory for a thread on each core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Limits of Pillow on metadata and pixels, below what is accepted here; the memory of the process is bounded.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 30
    run(answer)


if __name__ == "__main__":
    main()
