"""HEIC images, as phones write them, converted by the decoder of the extra; skipped without it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from astica_sync.core.recipe import Recipe
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import preparable
from astica_sync.local.image.prepare.prepare_process import answer
from astica_sync.local.image.prepare.preparer import ANY_SIZE, Preparer
from tests.harness.changed_bytes import check_changed_bytes
from tests.harness.convertible_images import ALPHA, PHOTO, Pixels, on_white, p3_to_srgb, read_jpeg

pytest.importorskip("pi_heif")

HEIC = Path(__file__).parents[3] / "fixtures" / "heic"
FILES = {path.stem: path.read_bytes() for path in sorted(HEIC.iterdir())}


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    with Preparer(workers=1) as started:
        yield started


@pytest.mark.parametrize(
    ("name", "expected", "most"),
    [
        ("plain", PHOTO, 6),
        # Once, by the decoder: the tag of EXIF asks for the same again.
        ("turned", np.rot90(PHOTO, -1), 6),
        ("p3", p3_to_srgb(PHOTO), 12),
        ("clear", on_white(PHOTO, ALPHA), 10),
        # The one that the file names as its main image is its second.
        ("several", PHOTO, 6),
    ],
)
def test_a_heic_becomes_the_jpeg_that_a_viewer_shows(
    preparer: Preparer, name: str, expected: Pixels, most: int
) -> None:
    prepared = preparer.prepare(FILES[name])
    pixels = read_jpeg(prepared.data)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= most
    assert (prepared.height, prepared.width) == expected.shape[:2]
    assert check_image(prepared.data) is None
    assert preparer.prepare(FILES[name]) == prepared


def test_another_image_of_a_heic_is_chosen_and_of_fewer_the_last(preparer: Preparer) -> None:
    """The first is the one that viewers show, which stands second in this file."""
    for frame, expected, note in (
        (1, PHOTO, "the first of several images"),
        (2, PHOTO[::-1], "image 2 of several"),
        (7, PHOTO[::-1], "image 2 of several"),
    ):
        prepared = preparer.prepare(FILES["several"], Recipe(frame=frame))
        assert np.abs(read_jpeg(prepared.data).astype(int) - expected).max() <= 6
        assert prepared.notes == (note,)
    assert preparer.prepare(FILES["plain"], Recipe(frame=2)) == preparer.prepare(FILES["plain"])


@pytest.mark.parametrize("name", FILES)
def test_a_heic_cut_off_anywhere_is_refused(name: str) -> None:
    data = FILES[name]
    assert preparable(data) == "heic"
    for length in {*range(16, len(data), max(1, len(data) // 300)), *range(len(data) - 40, len(data))}:
        assert answer(ANY_SIZE + Recipe().text.encode() + b"\n" + data[:length]).partition(b"\n")[2] == b"", length


@pytest.mark.parametrize("name", FILES)
def test_changed_bytes_of_a_heic_make_an_image_or_a_reason(preparer: Preparer, name: str) -> None:
    check_changed_bytes(preparer, FILES[name], name)


@pytest.mark.parametrize("junk", [b"", b"MM\0*\xff\xff\xff\xff", b"\xff\xff\xff\xff"])
def test_broken_metadata_of_a_heic_are_no_reason(preparer: Preparer, junk: bytes) -> None:
    data = FILES["turned"]
    at = data.rindex(b"Exif\0\0")
    broken = data[: at - 4] + junk.ljust(30, b"\0") + data[at + 26 :]
    assert preparer.prepare(broken) == preparer.prepare(data)
