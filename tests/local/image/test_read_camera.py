"""When and with what an image was taken, as its original says it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.local.image.thumbnailer import Thumbnailer
from tests.harness.other_formats import FORMATS, encode

HEIC = Path(__file__).parents[3] / "fixtures" / "heic" / "turned.heic"
FACTS = {"taken": "2024:05:01 10:00:00", "camera": "Camera 3"}


@pytest.fixture(scope="module")
def thumbnailer() -> Iterator[Thumbnailer]:
    with contextlib.closing(Thumbnailer(workers=1)) as made:
        yield made


@pytest.mark.parametrize("word", FORMATS)
def test_the_original_names_its_camera(thumbnailer: Thumbnailer, word: str) -> None:
    data = encode(Image.new("RGB", (20, 10)), word, camera="Camera 3", taken="2024:05:01 10:00:00")
    assert thumbnailer.read_camera(data) == FACTS


def test_a_heic_names_its_camera_without_its_decoder(thumbnailer: Thumbnailer) -> None:
    data, exif = HEIC.read_bytes(), Image.Exif()
    assert thumbnailer.read_camera(data) == {}
    exif[0x0110], exif[0x0132] = "Camera 3", "2024:05:01 10:00:00"
    assert thumbnailer.read_camera(data[: data.index(b"Exif\0\0")] + exif.tobytes()) == FACTS


@pytest.mark.parametrize("word", ["bmp", "gif", *FORMATS])
def test_an_image_that_names_none(thumbnailer: Thumbnailer, word: str) -> None:
    assert thumbnailer.read_camera(encode(Image.new("RGB", (20, 10)), word)) == {}
