"""Small versions of images from bounded processes: whatever stands in the header, and however large the file is."""

import contextlib
import io
import random
import tracemalloc
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops, ImageStat

from astica_sync.local.image.thumbnailer import Thumbnailer

SIDE = 256
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def thumbnailer() -> Iterator[Thumbnailer]:
    with contextlib.closing(Thumbnailer(workers=1)) as made:
        yield made


def photo(*, orientation: int = 1, header: int = 0, quality: int = 88) -> bytes:
    """A JPEG whose left half is dark, with metadata of so many bytes before its pixels."""
    image = Image.new("RGB", (1600, 1200), (200, 210, 220))
    image.paste((40, 30, 20), (0, 0, 800, 1200))
    exif, file = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = orientation
    image.save(file, "JPEG", quality=quality, exif=exif)
    data = file.getvalue()
    more = b"".join(b"\xff\xfe\xff\xff" + bytes(65533) for _ in range(header // 65533))
    return data[:2] + more + data[2:]


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("header", [0, 100_000, 2_000_000])
def test_the_thumbnail_is_upright_whatever_the_size_of_the_header(thumbnailer: Thumbnailer, header: int) -> None:
    plain = opened(thumbnailer.shrink(photo(header=header), SIDE))
    assert plain.size == (256, 192)
    assert max(plain.convert("L").getpixel((20, 90)), 60) == 60 and plain.convert("L").getpixel((236, 90)) > 190  # type: ignore[type-var, operator]
    # 6: the top of the picture is on the right of the file's pixels, so that its left half is above.
    turned = opened(thumbnailer.shrink(photo(orientation=6, header=header), SIDE))
    assert turned.size == (192, 256)
    difference = ImageChops.difference(turned.convert("L"), plain.convert("L").transpose(Image.Transpose.ROTATE_270))
    assert max(ImageStat.Stat(difference).mean) < 1


def test_a_file_that_is_larger_than_the_pipe_arrives_whole_and_is_not_copied(thumbnailer: Thumbnailer) -> None:
    noise = Image.frombytes("RGB", (1500, 1500), random.Random(7).randbytes(1500 * 1500 * 3))
    file = io.BytesIO()
    noise.save(file, "JPEG", quality=95)
    assert len(file.getvalue()) > 2 << 20
    data = file.getvalue()
    assert opened(thumbnailer.shrink(data, SIDE)).size == (256, 256)
    tracemalloc.start()
    try:
        again = thumbnailer.shrink(data, SIDE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert opened(again).size == (256, 256)
    assert peak < len(data) // 4
    assert opened(thumbnailer.shrink(photo(), SIDE)).size == (256, 192)
