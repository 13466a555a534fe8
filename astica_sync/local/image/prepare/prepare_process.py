"""The process in which images are converted: ``python -m astica_sync.local.image.prepare.prepare_process MEMORY
SECONDS``.

As ``decoder_process`` it reads only its standard input, writes no file, has no secrets, and is bounded in memory and in
processor time.
"""

import json
import os

from PIL import Image, PngImagePlugin

from astica_sync.core.recipe import KEEP, OVERSIZED, Recipe
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import broken, dimensions, exceeds_limits, not_converted, preparable
from astica_sync.local.image.prepare.encode import encode
from astica_sync.local.image.prepare.jpeg_of_several import cut_image
from astica_sync.local.image.prepare.judge_size import name_limit
from astica_sync.local.image.prepare.open_source import (
    AboveLimits,
    NotConvertible,
    TooManyPixels,
    name_frame,
    open_source,
)
from astica_sync.local.image.prepare.plain_colours import make_plain
from astica_sync.local.image.prepare.preparer import LIGHT
from astica_sync.local.image.worker_pool import HEAVY_PIXELS
from astica_sync.local.image.worker_process import run


def convert(data: bytes, most_pixels: int | None, recipe: Recipe) -> tuple[dict[str, object], bytes]:
    """What is to be known of the image, and the image itself, empty where there is none."""
    word = preparable(data) or ""
    notes = []
    try:
        if word == "mpo":
            data, word, which = _take_image(data, recipe.frame)
            sides = dimensions(data)
            if word != OVERSIZED and not (sides and 0 < recipe.max_side < max(sides)):
                return {"notes": [f"{which}, byte for byte"], "source": sides}, data
            notes.append(which)
        if word == OVERSIZED and not recipe.max_side:
            return {"above": name_limit(len(data), dimensions(data))}, b""
        source = open_source(data, word, most_pixels, recipe)
        image, changes, profile = make_plain(source, recipe.background, keep_profile=recipe.colours == KEEP)
        image, resized = _limit_side(image, source.sides, recipe.max_side)
        encoded, more = encode(
            image, lossless=source.lossless, quality=recipe.quality, exif=source.exif, profile=profile
        )
    except AboveLimits as above:
        return {"above": above.found.limit}, b""
    except TooManyPixels as heavy:
        return {"pixels": heavy.pixels}, b""
    except NotConvertible as refusal:
        return {"reason": str(refusal)}, b""
    except MemoryError:
        return {"reason": not_converted("its conversion takes too much memory")}, b""
    except Exception as error:  # noqa: BLE001 - decoders raise whatever the bytes provoke
        return {"reason": broken(_one_line(str(error) or type(error).__name__))}, b""
    return {"notes": [*notes, *source.notes, *changes, *resized, *more], "source": source.sides}, encoded


def _limit_side(image: Image.Image, sides: tuple[int, int], most: int) -> tuple[Image.Image, list[str]]:
    """The image of these dimensions with ``most`` pixels on its longer side, where it has more and ``most`` is not
    0."""
    longer = max(sides)
    if not 0 < most < longer:
        return image, []
    width, height = (max(1, round(side * most / longer)) for side in sides)
    note = f"made smaller, from {sides[0]} x {sides[1]} pixels"
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0), [note]


def _take_image(data: bytes, frame: int) -> tuple[bytes, str, str]:
    """One image of several, byte for byte, the word for it, which is "jpeg" where the service takes it, and which one
    it is."""
    image, number = cut_image(data, frame)
    if image is None:
        raise NotConvertible(broken("image file is truncated"))
    if exceeds_limits(len(image), dimensions(image)):
        return image, OVERSIZED, name_frame(number)
    if reason := check_image(image):
        raise NotConvertible(reason)
    return image, "jpeg", name_frame(number)


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
