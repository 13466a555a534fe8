"""Converting photos of 12 megapixels by the default recipe, compared with their decoder alone, both on two cores.

python -m benchmarks.local.conversion decode|convert FILE COUNT      does either to a file so many times
"""

import io
import multiprocessing
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness.measure import Command, Figure, judge, skipped, take_turns

DECODED = "the decoder alone"
CONVERTED = "converted by the program"
SIZE = (4032, 3024)
CORES = 2
_PHOTOS = 12
_KINDS = ("heic", "tiff", "tiff lzw")
_TARGET = {(CONVERTED, DECODED): "<= 1.3"}


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    found: list[Figure] = []
    count = 4 * _PHOTOS if full else _PHOTOS
    for kind in _KINDS:
        work = f"{count} photos of 12 megapixels, {kind.upper()}"
        file = scratch / f"photo-12mp.{kind.replace(' ', '.')}"
        if kind == "heic" and find_spec("pi_heif") is None:
            found.append(skipped(work, CONVERTED, "needs pip install 'astica-sync[heic]'"))
        elif not file.exists() and kind == "heic" and find_spec("pillow_heif") is None:
            found.append(skipped(work, CONVERTED, f"needs pip install pillow-heif, or such a photo as {file}"))
        else:
            if not file.exists():
                file.write_bytes(draw(kind))
            run = (sys.executable, "-m", "benchmarks.local.conversion")
            commands = {
                DECODED: Command([*run, "decode", file, str(count)]),
                CONVERTED: Command([*run, "convert", file, str(count)]),
            }
            found += judge(work, take_turns(commands, times), _TARGET)
    return found


def draw(kind: str) -> bytes:
    """A photo: soft shapes, edges, and the noise of a sensor."""
    from PIL import Image, ImageChops, ImageDraw

    dice = random.Random(12)
    image = Image.frombytes("RGB", (16, 12), dice.randbytes(16 * 12 * 3)).resize(SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(300):
        left, top = dice.randrange(SIZE[0]), dice.randrange(SIZE[1])
        box = (left, top, left + dice.randrange(20, 400), top + dice.randrange(20, 400))
        pen.ellipse(box, fill=tuple(dice.randbytes(3)))
    image = ImageChops.add(image, Image.effect_noise(SIZE, 5).convert("RGB"), 1, -128)
    file = io.BytesIO()
    if kind == "heic":
        import pillow_heif  # type: ignore[import-not-found]

        pillow_heif.from_pillow(image).save(file, quality=70)
        return file.getvalue()
    options = {
        "tiff": {"format": "TIFF"},
        "tiff lzw": {"format": "TIFF", "compression": "tiff_lzw"},
    }
    image.save(file, **options[kind])  # type: ignore[arg-type]
    return file.getvalue()


def _decode(data: bytes) -> None:
    from PIL import Image

    if data[4:8] == b"ftyp" and b"avif" not in data[:64]:
        import pi_heif

        pi_heif.options.DECODE_THREADS = 1
        pi_heif.open_heif(data, convert_hdr_to_8bit=True)[0].data  # noqa: B018 - decodes when it is read
    else:
        Image.open(io.BytesIO(data)).load()


def _decode_all(data: bytes, count: int) -> None:
    for _ in range(count):
        _decode(data)


def decode(data: bytes, count: int) -> None:
    """In as many processes as cores."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_decode_all, args=(data, count // CORES)) for _ in range(CORES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def convert(data: bytes, count: int) -> None:
    """By the bounded processes, as for a push."""
    from astica_sync.local.image.prepare.preparer import Preparer
    from astica_sync.local.image.prepare.usable_formats import usable_recipe

    with Preparer(usable_recipe(), workers=CORES) as preparer, ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(preparer.prepare, [data] * count):
            pass


if __name__ == "__main__":
    doing: Callable[[bytes, int], None] = {"decode": decode, "convert": convert}[sys.argv[1]]
    doing(Path(sys.argv[2]).read_bytes(), int(sys.argv[3]))
