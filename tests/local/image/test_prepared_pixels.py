"""A converted image has the pixels that a viewer shows, compared with arrays computed another way."""

import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from astica_sync.core.recipe import Recipe
from astica_sync.errors import ImageRejected
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import sniff
from astica_sync.local.image.prepare.preparer import Prepared, Preparer
from tests.harness.convertible_images import (
    ALPHA,
    PHOTO,
    Pixels,
    make_cmyk_profile,
    make_grey_profile,
    make_p3_profile,
    on_white,
    p3_to_srgb,
    print_inks,
    read_jpeg,
    save,
    save_png_16,
    to_levels,
)

TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels),
}
"""What each orientation of EXIF asks for."""
RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)
NEEDS_AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
FRAMES = [PHOTO, PHOTO[::-1], PHOTO[:, ::-1]]


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    with Preparer(workers=1) as started:
        yield started


def pixels_of(prepared: Prepared) -> Pixels:
    assert check_image(prepared.data) is None
    opened = Image.open(io.BytesIO(prepared.data))
    assert opened.mode in ("L", "RGB")
    assert opened.size == (prepared.width, prepared.height)
    return np.asarray(opened.convert("RGB"))


def differ(one: NDArray[Any], other: NDArray[Any]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def grey(values: NDArray[Any]) -> Pixels:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def save_turned(name: str, orientation: int) -> bytes:
    if name == "PNG":
        chunk = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
        return save_png_16(PHOTO.astype(np.uint16) * 257, (b"eXIf", chunk))
    if name == "TIFF":
        return save(PHOTO, name, tiffinfo={0x0112: orientation})
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
        "JPEG": {"quality": 100, "subsampling": 0},
    }
    image = Image.fromarray(PHOTO)
    return save(image.convert("CMYK") if name == "JPEG" else image, name, exif=exif(orientation), **options[name])


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(
    ("name", "most"), [("WEBP", 0), ("PNG", 0), ("TIFF", 0), ("JPEG", 6), pytest.param("AVIF", 8, marks=NEEDS_AVIF)]
)
def test_an_image_is_turned_upright_once(preparer: Preparer, name: str, most: int, orientation: int) -> None:
    prepared = preparer.prepare(save_turned(name, orientation))
    assert differ(pixels_of(prepared), TURNS[orientation](PHOTO)) <= most
    assert b"Exif" not in prepared.data and b"eXIf" not in prepared.data


@pytest.mark.parametrize(
    "data",
    [
        save(RAMP, "PNG"),
        save(RAMP, "TIFF"),
        save(Image.fromarray(RAMP.astype(">u2")), "TIFF"),
        save(RAMP.astype(np.int32), "TIFF"),
        save(RAMP.astype(np.float32), "TIFF"),
        save((RAMP / 65535).astype(np.float32), "TIFF"),
    ],
    ids=["PNG", "TIFF", "TIFF big-endian", "TIFF 32 bits", "TIFF of fractions to 65535", "TIFF of fractions to 1"],
)
def test_grey_of_16_bits_keeps_its_range(preparer: Preparer, data: bytes) -> None:
    prepared = preparer.prepare(data)
    assert sniff(prepared.data) == "png"
    assert differ(pixels_of(prepared), grey(np.floor(RAMP / 257 + 0.5))) == 0


def test_grey_of_no_known_range_is_spread_from_its_least_to_its_greatest(preparer: Preparer) -> None:
    heights = np.linspace(-200, 1000, 64 * 48).reshape(48, 64).astype(np.float32)
    expected = np.floor((heights.astype(float) + 200) / 1200 * 255 + 0.5)
    assert differ(pixels_of(preparer.prepare(save(heights, "TIFF"))), grey(expected)) <= 1
    assert differ(pixels_of(preparer.prepare(save(heights.astype(np.int32), "TIFF"))), grey(expected)) <= 1


def test_grey_of_16_bits_in_a_tiff_in_which_zero_is_white_is_no_negative(preparer: Preparer) -> None:
    data = bytearray(save(RAMP, "TIFF"))
    # The entry for the photometric interpretation: one short number.
    at = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    assert data[at] == 1
    data[at] = 0
    assert differ(pixels_of(preparer.prepare(bytes(data))), grey(255 - np.floor(RAMP / 257 + 0.5))) == 0


def test_a_png_of_16_bits_in_each_colour_keeps_the_upper_half(preparer: Preparer) -> None:
    values = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=2)
    assert differ(pixels_of(preparer.prepare(save_png_16(values))), values >> 8) == 0


@pytest.mark.parametrize("low", [0, 0x33])
def test_transparency_is_laid_on_white(preparer: Preparer, low: int) -> None:
    clear = np.dstack([PHOTO, ALPHA])
    expected = on_white(PHOTO, ALPHA)
    deep = clear.astype(np.uint16) * 256 + low
    for data in (save(clear, "WEBP", lossless=True, exact=True), save(clear, "TIFF"), save_png_16(deep)):
        prepared = preparer.prepare(data)
        assert differ(pixels_of(prepared), expected) == 0
        assert "transparency laid on white" in prepared.notes


def test_grey_with_transparency_is_laid_on_white(preparer: Preparer) -> None:
    level = PHOTO[..., 0]
    expected = on_white(grey(level), ALPHA)
    both = np.dstack([level, ALPHA])
    assert differ(pixels_of(preparer.prepare(save(Image.fromarray(both, "LA"), "TIFF"))), expected) == 0
    assert differ(pixels_of(preparer.prepare(save_png_16(both.astype(np.uint16) * 257))), expected) == 0


def test_one_colour_of_a_png_that_stands_for_none_becomes_white(preparer: Preparer) -> None:
    values = RAMP.copy()
    data = save_png_16(values, (b"tRNS", struct.pack(">H", 700)))
    expected = grey(np.where(values == 700, 255, np.floor(values / 257 + 0.5)))
    assert differ(pixels_of(preparer.prepare(data)), expected) == 0
    colours = np.dstack([RAMP >> 8 << 8, RAMP << 8, RAMP & 0xFF00]).astype(np.uint16)
    data = save_png_16(colours, (b"tRNS", struct.pack(">3H", *colours[7, 9])))
    expected = (colours >> 8).astype(np.uint8)
    expected[7, 9] = 255
    assert differ(pixels_of(preparer.prepare(data)), expected) == 0


def palette_image(clear: int | None) -> tuple[Image.Image, Pixels]:
    colours = np.array([[200, 10, 20], [10, 200, 20], [20, 10, 200], [250, 250, 0]], np.uint8)
    numbers = np.arange(60, dtype=np.uint8).reshape(6, 10) % 4
    image = Image.fromarray(numbers, "P")
    image.putpalette(colours.tobytes())
    if clear is not None:
        colours[clear] = 255
    return image, colours[numbers]


@pytest.mark.parametrize("clear", [None, 2])
def test_a_palette_becomes_colours_and_its_clear_entry_white(preparer: Preparer, clear: int | None) -> None:
    image, expected = palette_image(clear)
    options = {} if clear is None else {"transparency": clear}
    assert differ(pixels_of(preparer.prepare(save(image, "GIF", **options))), expected) == 0
    if clear is None:
        assert differ(pixels_of(preparer.prepare(save(image, "TIFF"))), expected) == 0
        assert differ(pixels_of(preparer.prepare(save(image, "BMP"))), expected) == 0


@pytest.mark.parametrize("name", ["BMP", "TIFF"])
def test_black_and_white_stays_so(preparer: Preparer, name: str) -> None:
    bits = (np.add.outer(np.arange(40), np.arange(50)) % 3 == 0) * np.uint8(255)
    prepared = preparer.prepare(save(Image.fromarray(bits).convert("1"), name))
    assert differ(pixels_of(prepared), grey(bits)) == 0
    assert Image.open(io.BytesIO(prepared.data)).mode == "L"


@pytest.mark.parametrize(
    ("name", "options", "most"),
    [
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("GIF", {}, 0),
        pytest.param("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 8, marks=NEEDS_AVIF),
    ],
)
def test_the_first_of_several_images_is_taken(
    preparer: Preparer, name: str, options: dict[str, Any], most: int
) -> None:
    frames = [Image.fromarray(frame) for frame in FRAMES]
    expected = PHOTO
    if name == "GIF":
        frames = [frame.quantize(200) for frame in frames]
        expected = np.array(frames[0].getpalette(), np.uint8).reshape(-1, 3)[np.asarray(frames[0])]
    data = save(frames[0], name, save_all=True, append_images=frames[1:], **options)
    prepared = preparer.prepare(data)
    assert differ(pixels_of(prepared), expected) <= most
    assert prepared.notes == ("the first of several images",)


def test_the_first_image_of_an_mpo_is_taken_byte_for_byte(preparer: Preparer) -> None:
    frames = [Image.fromarray(frame) for frame in FRAMES]
    for options in ({"quality": 90}, {"quality": 90, "progressive": True}):
        data = save(frames[0], "MPO", save_all=True, append_images=frames[1:], **options)
        # The second image begins where the first one ends.
        first = data[: data.index(b"\xff\xd9\xff\xd8") + 2]
        for padding in (b"", bytes(100)):
            prepared = preparer.prepare(first + padding + data[len(first) :])
            assert prepared.data == first
            assert differ(pixels_of(prepared), PHOTO) <= 40


def test_another_image_of_an_mpo_is_taken_byte_for_byte(preparer: Preparer) -> None:
    pictures = [Image.fromarray(PHOTO).rotate(angle) for angle in (0, 90, 180)]
    whole = save(pictures[0], "MPO", save_all=True, append_images=pictures[1:], quality=90)
    ends = [found.start() + 2 for found in re.finditer(rb"\xff\xd9(?=\xff\xd8|$)", whole, re.DOTALL)]
    parts = [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert len(parts) == 3 and b"".join(parts) == whole
    # Something between the images, and what only looks like an image after them, as a video may have it.
    padded = bytes(100).join(parts) + bytes(50) + b"\xff\xd8\xff" + bytes(200)
    for data in (whole, padded):
        for frame, note in ((1, "the first of several images"), (2, "image 2 of several"), (3, "image 3 of several")):
            prepared = preparer.prepare(data, Recipe(frame=frame))
            assert (prepared.data, prepared.notes) == (parts[frame - 1], (f"{note}, byte for byte",))
        assert preparer.prepare(data, Recipe(frame=9)).data == parts[2]
        smaller = preparer.prepare(data, Recipe(frame=3, max_side=45))
        assert (smaller.width, smaller.notes[0]) == (45, "image 3 of several")
    cut = whole[: ends[1] + 400]
    assert preparer.prepare(cut, Recipe(frame=2)).data == parts[1]
    with pytest.raises(ImageRejected, match="broken image, image file is truncated"):
        preparer.prepare(cut, Recipe(frame=3))
    assert preparer.prepare(whole[: ends[0]], Recipe(frame=2)).data == parts[0], "the others are gone"


def test_display_p3_becomes_srgb(preparer: Preparer) -> None:
    profile = make_p3_profile()
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3, indexing="ij"), axis=-1).reshape(18, -1, 3)
    colours = cube.astype(np.uint8)
    for data in (
        save(colours, "TIFF", icc_profile=profile),
        save(colours, "WEBP", lossless=True, icc_profile=profile),
    ):
        prepared = preparer.prepare(data)
        assert differ(pixels_of(prepared), p3_to_srgb(colours)) <= 3
        assert prepared.notes == ("colours converted to sRGB by the image's profile",)
    assert differ(p3_to_srgb(colours), colours) > 50


@pytest.mark.parametrize("form", ["TIFF", "WEBP"])
def test_colours_are_kept_with_their_profile_where_the_recipe_says_so(preparer: Preparer, form: str) -> None:
    profile = make_p3_profile()
    clear = np.dstack([PHOTO, ALPHA])
    for pixels, expected in ((PHOTO, PHOTO), (clear, on_white(PHOTO, ALPHA))):
        options = {"lossless": True, "exact": True} if form == "WEBP" else {}
        prepared = preparer.prepare(save(pixels, form, icc_profile=profile, **options), Recipe(colours="keep"))
        assert differ(pixels_of(prepared), expected) <= 1
        assert "colour profile kept" in prepared.notes
        with Image.open(io.BytesIO(prepared.data)) as image:
            assert image.info["icc_profile"] == profile
    as_jpeg = preparer.prepare(save(PHOTO, "WEBP", quality=90, icc_profile=profile), Recipe(colours="keep"))
    with Image.open(io.BytesIO(as_jpeg.data)) as image:
        assert image.format == "JPEG" and image.info["icc_profile"] == profile


@pytest.mark.parametrize(
    "profile", [None, b"no profile at all", make_grey_profile(1.0)], ids=["none", "broken", "grey"]
)
def test_what_has_no_profile_of_its_colours_is_converted_as_by_default(
    preparer: Preparer, profile: bytes | None
) -> None:
    data = save(PHOTO, "TIFF", icc_profile=profile) if profile else save(PHOTO, "TIFF")
    assert preparer.prepare(data, Recipe(colours="keep")) == preparer.prepare(data)


def test_grey_on_a_colour_and_the_colours_of_print_become_srgb_in_any_case(preparer: Preparer) -> None:
    level = np.dstack([np.arange(256, dtype=np.uint8).reshape(16, 16), np.full((16, 16), 90, np.uint8)])
    grey_on_red = save(level, "TIFF", icc_profile=make_grey_profile(1.0))
    red = Recipe(background="#ff0000")
    print_colours = save(Image.fromarray(PHOTO).convert("CMYK"), "TIFF", icc_profile=make_cmyk_profile())
    for data, recipe in ((grey_on_red, red), (print_colours, Recipe())):
        kept = preparer.prepare(data, replace(recipe, colours="keep"))
        assert kept == preparer.prepare(data, recipe)


def test_a_profile_of_srgb_changes_no_pixel(preparer: Preparer) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    prepared = preparer.prepare(save(PHOTO, "TIFF", icc_profile=profile))
    assert differ(pixels_of(prepared), PHOTO) == 0
    assert prepared.notes == ()
    assert profile not in prepared.data


def test_a_profile_is_applied_before_transparency_is_laid_on_white(preparer: Preparer) -> None:
    data = save(np.dstack([PHOTO, ALPHA]), "TIFF", icc_profile=make_p3_profile())
    assert differ(pixels_of(preparer.prepare(data)), on_white(p3_to_srgb(PHOTO), ALPHA)) <= 3


def test_a_profile_of_grey_is_applied(preparer: Preparer) -> None:
    level = np.arange(256, dtype=np.uint8).reshape(16, 16)
    prepared = preparer.prepare(save(level, "TIFF", icc_profile=make_grey_profile(1.0)))
    assert differ(pixels_of(prepared), grey(np.rint(to_levels(level / 255) * 255))) <= 2


@pytest.mark.parametrize("profile", [b"no profile at all", make_grey_profile(1.0)], ids=["broken", "of grey"])
def test_a_profile_that_does_not_fit_is_ignored(preparer: Preparer, profile: bytes) -> None:
    prepared = preparer.prepare(save(PHOTO, "TIFF", icc_profile=profile))
    assert differ(pixels_of(prepared), PHOTO) == 0
    assert any("ignored" in note for note in prepared.notes)


def patches() -> NDArray[np.uint8]:
    """Every mixture of three steps of four inks, each 16 pixels wide and high."""
    steps = np.array([0, 128, 255], np.uint8)
    inks = np.stack(np.meshgrid(*[steps] * 4, indexing="ij"), axis=-1).reshape(9, 9, 4)
    return inks.repeat(16, axis=0).repeat(16, axis=1)


@pytest.mark.parametrize(
    ("name", "options", "most"), [("TIFF", {}, 2), ("JPEG", {"quality": 100, "subsampling": 0}, 6)]
)
def test_the_colours_of_print_become_srgb_by_their_profile(
    preparer: Preparer, name: str, options: dict[str, Any], most: int
) -> None:
    profile = make_cmyk_profile()
    image = Image.fromarray(patches(), "CMYK")
    prepared = preparer.prepare(save(image, name, icc_profile=profile, **options))
    srgb = ImageCms.createProfile("sRGB")
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    plain = ImageCms.profileToProfile(image, opened, srgb, outputMode="RGB")
    assert plain is not None
    # The middle of each patch: a JPEG blurs its edges.
    middle = (slice(8, None, 16), slice(8, None, 16))
    found = pixels_of(prepared)[middle]
    assert differ(found, np.asarray(plain)[middle]) <= most
    # The table of the profile has eight bits, and these colours stand in it.
    assert differ(found, np.rint(print_inks(patches()[middle] / 255) * 255)) <= most + 3


def test_the_colours_of_print_are_converted_without_a_profile(preparer: Preparer) -> None:
    inks = patches()
    expected = np.rint((255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255)
    prepared = preparer.prepare(save(Image.fromarray(inks, "CMYK"), "TIFF"))
    assert differ(pixels_of(prepared), expected) <= 1
    assert prepared.notes == ("colours of print converted without a profile",)


@pytest.mark.parametrize(
    ("name", "options"),
    [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True}), ("BMP", {})],
)
def test_a_lossless_image_keeps_every_pixel(preparer: Preparer, name: str, options: dict[str, Any]) -> None:
    prepared = preparer.prepare(save(PHOTO, name, **options))
    assert sniff(prepared.data) == "png"
    assert differ(pixels_of(prepared), PHOTO) == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("WEBP", {"quality": 90}),
        ("TIFF", {"compression": "jpeg"}),
        ("JPEG2000", {}),
        ("JPEG2000", {"no_jp2": True}),
        pytest.param("AVIF", {}, marks=NEEDS_AVIF),
    ],
)
def test_a_lossy_image_becomes_a_jpeg_of_full_colour(preparer: Preparer, name: str, options: dict[str, Any]) -> None:
    data = save(PHOTO, name, **options)
    prepared = preparer.prepare(data)
    assert differ(read_jpeg(prepared.data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))) <= 6


def test_grey_in_lab_becomes_grey_in_srgb(preparer: Preparer) -> None:
    level = np.arange(256, dtype=np.uint8).reshape(16, 16)
    neutral = np.zeros_like(level)
    data = save(Image.fromarray(np.dstack([level, neutral, neutral]), "LAB"), "TIFF")
    lightness = level / 2.55
    light = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness * 27 / 24389)
    assert differ(pixels_of(preparer.prepare(data)), grey(np.rint(to_levels(light) * 255))) <= 2
