"""What is kept of a picture is read back as it was; damaged bytes are none."""

import numpy as np
import pytest

from astica_sync.likeness.small_picture import (
    RASTER_SIDE,
    SmallPicture,
    decode,
    encode,
    make_small_picture,
    read_hashes,
)


def picture(bars: bool) -> SmallPicture:
    raster = np.random.default_rng(1).integers(0, 255, (8, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    if bars:
        raster[:, :20] = raster[:, -20:] = 0
    assert raster.shape == (RASTER_SIDE, RASTER_SIDE, 3)
    return make_small_picture(raster)


@pytest.mark.parametrize("bars", [False, True])
def test_a_picture_is_read_back(bars: bool) -> None:
    made = picture(bars)
    read = decode(encode(made))
    assert read is not None and (made.trimmed is not None) == (read.trimmed is not None) == bars
    assert (read.hashes == made.hashes).all() and (read_hashes(encode(made)) == made.hashes).all()
    assert (read.whole.luma == made.whole.luma).all() and (read.whole.chroma == made.whole.chroma).all()
    assert read.inside == pytest.approx(made.inside)


def test_the_part_inside_bars_is_found() -> None:
    left, top, right, bottom = picture(bars=True).inside
    assert (top, bottom) == (0, 1)
    assert left * RASTER_SIDE == pytest.approx(20, abs=1) and right * RASTER_SIDE == pytest.approx(108, abs=1)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b"\7" + data[1:]])
def test_damaged_bytes_are_no_picture(damage) -> None:
    assert decode(damage(encode(picture(bars=False)))) is None
    assert decode(b"") is None and decode(bytes(800)) is None


def test_an_image_of_one_colour_has_no_structure() -> None:
    plain = np.full((RASTER_SIDE, RASTER_SIDE, 3), 90, np.uint8)
    assert not make_small_picture(plain).has_structure
