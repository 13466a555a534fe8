"""A sound image is checked and measured in one go; what is measured is what the check and the raster by themselves
lead to, and what the one process does not answer is left to them."""

import contextlib
import io
import random
from collections.abc import Callable, Iterator

import pytest
from PIL import Image, ImageOps

from astica_sync.inspect.measure_image import Openers, measure_bytes
from astica_sync.inspect.measurer import Measurer, Measures
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.local.image.rasterizer import Rasterizer

_ORIENTATION = 0x0112
_ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"


class Silent(Measurer):
    """One that leaves each image to the others."""

    def measure(self, data: bytes) -> Measures | None:
        return None


@pytest.fixture(scope="module")
def openers() -> Iterator[tuple[Openers, Openers]]:
    with (
        Decoder(workers=1) as decoder,
        Preparer(workers=1) as preparer,
        contextlib.closing(Rasterizer(workers=1)) as rasterizer,
        contextlib.closing(Measurer(workers=1)) as measurer,
    ):
        yield (
            Openers(measurer, preparer, decoder, rasterizer),
            Openers(Silent(workers=1), preparer, decoder, rasterizer),
        )


def picture(width: int, height: int) -> Image.Image:
    shapes = Image.frombytes("RGB", (9, 7), random.Random(3).randbytes(9 * 7 * 3))
    grown = shapes.resize((width, height), Image.Resampling.BICUBIC)
    return Image.blend(grown, Image.effect_noise((width, height), 60).convert("RGB"), 0.2)


def save(image: Image.Image, form: str = "JPEG", **settings: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return save(picture(500, 300), exif=exif)


def with_alpha() -> bytes:
    image = picture(420, 300).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return save(image, "PNG")


def after_start(data: bytes, segment: bytes, *, jfif: bool) -> bytes:
    tables = data.index(b"\xff\xdb")
    return data[:2] + segment + data[2 if jfif else tables :]


SOUND: dict[str, Callable[[], bytes]] = {
    "a photo": lambda: save(picture(640, 480), quality=90),
    "at half its size": lambda: save(picture(1601, 1590)),
    "at an eighth of its size": lambda: save(picture(6200, 6150), quality=40),
    "smaller than the raster": lambda: save(picture(101, 77)),
    "of a few pixels": lambda: save(picture(3, 3)),
    "of one pixel": lambda: save(picture(1, 1)),
    "very wide": lambda: save(picture(3000, 2)),
    "colours in full": lambda: save(picture(400, 300), subsampling=0),
    "colours of every second column": lambda: save(picture(400, 300), subsampling=1),
    "progressive": lambda: save(picture(640, 480), progressive=True),
    "with restarts": lambda: save(picture(640, 480), restart_marker_rows=1),
    "grey": lambda: save(picture(640, 480).convert("L")),
    "flat": lambda: save(Image.new("RGB", (300, 200), "teal")),
    "with bars": lambda: save(ImageOps.pad(picture(640, 480), (500, 500))),
    "marked by Adobe": lambda: after_start(save(picture(400, 300)), _ADOBE + b"\1", jfif=False),
    "turned by XMP": lambda: save(picture(500, 300), xmp=b'<x tiff:Orientation="6"/>'),
    "PNG": lambda: save(picture(640, 480), "PNG"),
    "PNG with a palette": lambda: save(picture(640, 480).quantize(40), "PNG"),
    "PNG with transparency": with_alpha,
    **{f"turned by {number}": lambda number=number: turned(number) for number in range(2, 9)},
}

OTHER: dict[str, Callable[[], bytes]] = {
    "RGB by Adobe's mark": lambda: save(picture(400, 300), keep_rgb=True),
    "said to be RGB": lambda: after_start(save(picture(400, 300)), _ADOBE + b"\0", jfif=False),
    "cut off": lambda: save(picture(640, 480))[:-3000],
    "PNG cut off": lambda: save(picture(400, 300), "PNG")[:-3000],
    "no pixels": lambda: save(picture(640, 480))[:300],
    "broken metadata": lambda: after_start(
        save(picture(400, 300)), b"\xff\xe1\0\x10Exif\0\0II*\0\xff\xff\xff\xff", jfif=True
    ),
    "a text": lambda: b"no image",
}


@pytest.mark.parametrize("name", [*SOUND, *OTHER])
def test_the_facts_are_those_of_check_and_raster(openers: tuple[Openers, Openers], name: str) -> None:
    at_once, one_by_one = openers
    data = (SOUND | OTHER)[name]()
    assert measure_bytes(data, at_once) == measure_bytes(data, one_by_one)
    assert (at_once.measurer.measure(data) is not None) == (name in SOUND or name == "broken metadata")


def test_damaged_images_have_the_reason_of_the_check(openers: tuple[Openers, Openers]) -> None:
    at_once, one_by_one = openers
    dice = random.Random(11)
    data = save(picture(320, 240))
    for _ in range(20):
        damaged = bytearray(data)
        place = dice.randrange(2, len(data) - 20)
        damaged[place : place + 8] = dice.randbytes(8)
        assert measure_bytes(bytes(damaged), at_once) == measure_bytes(bytes(damaged), one_by_one)
