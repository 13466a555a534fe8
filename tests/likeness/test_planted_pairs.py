"""Changed copies of real photos are found, and nothing among pictures that only look similar."""

import io
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from astica_sync.likeness.find_pairs import PicturePair, find_pairs
from astica_sync.likeness.small_picture import RASTER_SIDE, SmallPicture, make_small_picture
from astica_sync.local.image.raster_process import render
from tests.harness.digits import load_digits
from tests.harness.planted_pictures import CHANGES, Picture, burst, caps, icons, real_photos, save_again


def small(image: Picture) -> SmallPicture:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    made = render(file.getvalue(), RASTER_SIDE, square=True)
    return make_small_picture(np.frombuffer(made, np.uint8, offset=4).reshape(RASTER_SIDE, RASTER_SIDE, 3))


def pairs_of(images: Sequence[Picture]) -> list[PicturePair]:
    return find_pairs([small(image) for image in images])


@pytest.fixture(scope="module")
def photos() -> list[Picture]:
    return real_photos()


@pytest.mark.long
def test_changed_copies_are_found_and_nothing_else(photos: list[Picture]) -> None:
    dice = random.Random(3)
    images, made_from = list(photos), list(range(len(photos)))
    for change in CHANGES.values():
        images += [change(photo, dice) for photo in photos]
        made_from += range(len(photos))
    found = {(pair.one, pair.other) for pair in pairs_of(images)}
    planted = {(made_from[place], place) for place in range(len(photos), len(images))}
    assert len(planted & found) >= 0.95 * len(planted), sorted(planted - found)
    true = [pair for pair in found if made_from[pair[0]] == made_from[pair[1]]]
    assert len(true) >= 0.95 * len(found)


@pytest.mark.parametrize("change", ["saved again", "mirrored", "cropped by 3 %", "letterboxed", "watermarked"])
def test_how_a_copy_differs_is_reported(photos: list[Picture], change: str) -> None:
    names = {
        "saved again": "again",
        "mirrored": "mirrored",
        "cropped by 3 %": "cropped",
        "letterboxed": "bars",
        "watermarked": "changed",
    }
    (pair,) = pairs_of([photos[5], CHANGES[change](photos[5], random.Random(1))])
    assert pair.how == names[change]


@pytest.mark.long
@pytest.mark.parametrize(
    "make",
    [
        lambda photos: caps(100, 2),
        lambda photos: [
            Image.fromarray((255 - pixels * 15.9).astype("uint8")).resize((64, 64), Image.Resampling.BICUBIC)
            for pixels in load_digits().images[:100]
        ],
        lambda photos: icons(100, 0),
        lambda photos: burst(photos[0], 100, 1, 0.06),
        lambda photos: burst(photos[3], 100, 2, 0.12),
        lambda photos: burst(photos[6], 100, 3, 0.25),
    ],
    ids=["caps", "digits", "icons", "burst of small things", "burst", "burst of large things"],
)
def test_pictures_that_only_look_similar_are_no_pair(
    photos: list[Picture], make: Callable[[list[Picture]], list[Picture]]
) -> None:
    assert pairs_of(make(photos)) == []


def test_a_copy_of_one_frame_of_a_fixed_camera_is_found(photos: list[Picture]) -> None:
    frames = burst(photos[0], 8, 1, 0.25)
    (pair,) = pairs_of([*frames, save_again(frames[3], 85)])
    assert (pair.one, pair.other) == (3, 8)


def test_sides_are_compared_with_each_other_alone(photos: list[Picture]) -> None:
    pictures = [small(image) for image in (photos[0], save_again(photos[0], 60), photos[1], save_again(photos[1], 60))]
    assert len(find_pairs(pictures)) == 2
    (pair,) = find_pairs(pictures, np.array([False, False, False, True]))
    assert (pair.one, pair.other) == (2, 3)


@pytest.mark.parametrize("count", [0, 1])
def test_no_pictures_and_one_have_no_pair(photos: list[Picture], count: int) -> None:
    assert pairs_of(photos[:count]) == []
