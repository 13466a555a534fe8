"""The process in which images are converted: ``python -m astica_sync.local.image.prepare.prepare_process MEMORY
SECONDS``.

As ``decoder_process`` it reads only its standard input, writes no file, has no secrets, and is bounded in memory and in
processor time.
"""

import json
import os

from PIL import Image, PngImagePlugin

from astica_sync.core.recipe import Recipe
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import broken, dimensions, not_converted, preparable
from astica_sync.local.image.prepare.encode import encode
from astica_sync.local.image.prepare.first_jpeg import cut_first
from astica_sync.local.image.prepare.open_source import NotConvertible, TooManyPixels, open_source
from astica_sync.local.image.prepare.plain_colours import make_plain
from astica_sync.local.image.prepare.preparer import LIGHT
from astica_sync.local.image.worker_pool import HEAVY_PIXELS
from astica_sync.local.image.worker_process import run

_FIRST = "the first of several images, byte for byte"


def convert(data: bytes, most_pixels: int | None, recipe: Recipe) -> tuple[dict[str, object], bytes]:
    """What is to be known of the image, and the image itself, empty where there is none."""
    word = preparable(data) or ""
    notes = []
    try:
        if word == "mpo":
            data, word = _take_first(data), "jpeg"
            sides = dimensions(data)
            if sides is None or not 0 < recipe.max_side < max(sides):
                return {"notes": [_FIRST], "source": sides}, data
            notes.append("the first of several images")
        source = open_source(data, word, most_pixels, recipe)
        image, changes = make_plain(source, recipe.background)
        sides = image.size
        image, resized = _limit_side(image, recipe.max_side)
        encoded, more = encode(image, lossless=source.lossless, quality=recipe.quality)
    except TooManyPixels as heavy:
        return {"pixels": heavy.pixels}, b""
    except NotConvertible as refusal:
        return {"reason": str(refusal)}, b""
    except MemoryError:
        return {"reason": not_converted("its conversion takes too much memory")}, b""
    except Exception as error:  # noqa: BLE001 - decoders raise whatever the bytes provoke
        return {"reason": broken(_one_line(str(error) or type(error).__name__))}, b""
    return {"notes": [*notes, *source.notes, *changes, *resized, *more], "source": sides}, encoded


def _limit_side(image: Image.Image, most: int) -> tuple[Image.Image, list[str]]:
    """The image with ``most`` pixels on its longer side, where it has more and ``most`` is not 0."""
    longer = max(image.size)
    if not 0 < most < longer:
        return image, []
    width, height = (max(1, round(side * most / longer)) for side in image.size)
    note = f"made smaller, from {image.width} x {image.height} pixels"
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0), [note]


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
    recipe, _, data = request[1:].partition(b"\n")
    found, image = convert(data, HEAVY_PIXELS if request[:1] == LIGHT else None, Recipe.parse(recipe.decode()))
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
