"""Rasters are of what is sent: images of other formats are converted first, turned and coloured as then."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from astica_sync.local.image.format import MAX_BYTES
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.local.image.rasterizer import Raster, Rasterizer
from tests.harness.other_formats import FORMATS, encode


@pytest.fixture(scope="module")
def rasterizer() -> Iterator[Rasterizer]:
    with contextlib.closing(Rasterizer(workers=1)) as made:
        yield made


def picture() -> Image.Image:
    """Red above blue, wider than high."""
    image = Image.new("RGB", (60, 40), (200, 30, 20))
    image.paste((20, 40, 210), (0, 20, 60, 40))
    return image


def pixels_of(raster: Raster | None) -> NDArray[np.int_]:
    assert raster is not None
    return np.frombuffer(raster.pixels, np.uint8).reshape(raster.height, raster.width, 3).astype(int)


@pytest.mark.parametrize("word", FORMATS)
def test_an_image_of_another_format_has_the_raster_of_its_picture(rasterizer: Rasterizer, word: str) -> None:
    found = pixels_of(rasterizer.render(encode(picture(), word), 60))
    assert found.shape == (40, 60, 3)
    assert np.abs(found[4:16] - (200, 30, 20)).max() < 16 and np.abs(found[24:36] - (20, 40, 210)).max() < 16


@pytest.mark.parametrize("word", FORMATS)
def test_it_is_turned_as_what_is_sent(rasterizer: Rasterizer, word: str) -> None:
    found = pixels_of(rasterizer.render(encode(picture(), word, turned=6), 60))
    # What was above is at the right then.
    assert found.shape == (60, 40, 3)
    assert found[30, 34, 0] > 150 > found[30, 4, 0]


def test_the_raster_is_that_of_the_converted_image(rasterizer: Rasterizer) -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((60, 40)))
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True)
    with Preparer(workers=1) as preparer:
        sent = preparer.prepare(file.getvalue()).data
    assert rasterizer.render(file.getvalue(), 32) == rasterizer.render(sent, 32)


def test_a_file_that_is_larger_than_what_can_be_sent(rasterizer: Rasterizer, tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    Image.new("RGB", (2800, 2800), (10, 200, 30)).save(path)
    assert path.stat().st_size > MAX_BYTES
    assert pixels_of(rasterizer.render_file(path, 8)).mean(axis=(0, 1)).tolist() == [10, 200, 30]


@pytest.mark.parametrize("word", FORMATS)
def test_there_is_none_of_half_an_image(rasterizer: Rasterizer, word: str) -> None:
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    data = encode(image, word)
    assert rasterizer.render(data[: len(data) // 2], 16) is None


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"II*\0" + bytes(40), b"<svg/>"])
def test_there_is_none_of_what_is_no_image(rasterizer: Rasterizer, data: bytes) -> None:
    assert rasterizer.render(data, 16) is None
