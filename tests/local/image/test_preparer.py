"""The conversion in processes of its own: what is refused and why, and that no bytes do harm."""

import io
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from astica_sync.core.recipe import PREPARABLE, Recipe
from astica_sync.errors import ImageRejected
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import MAX_BYTES, MAX_SIDE, preparable
from astica_sync.local.image.prepare import judge_size
from astica_sync.local.image.prepare import preparer as preparing
from astica_sync.local.image.prepare.encode import encode as encode_image
from astica_sync.local.image.prepare.prepare_process import answer
from astica_sync.local.image.prepare.preparer import ANY_SIZE, LIGHT, Preparer
from tests.harness.changed_bytes import check_changed_bytes
from tests.harness.convertible_images import ALPHA, PHOTO, make_p3_profile, save, save_png_16

PICTURE = Image.fromarray(PHOTO)
RECIPE = Recipe().text.encode() + b"\n"
FURTHER = [PICTURE.rotate(180)]
FILES = {
    "webp": save(PHOTO, "WEBP"),
    "webp lossless": save(np.dstack([PHOTO, ALPHA]), "WEBP", lossless=True, icc_profile=make_p3_profile()),
    "webp animated": save(PICTURE, "WEBP", save_all=True, append_images=FURTHER),
    "tiff": save(PHOTO, "TIFF"),
    "tiff lzw": save(PHOTO, "TIFF", compression="tiff_lzw"),
    "tiff jpeg": save(PHOTO, "TIFF", compression="jpeg"),
    "tiff fax": save(PICTURE.convert("1"), "TIFF", compression="group4"),
    "bmp": save(PHOTO, "BMP"),
    "gif": save(PHOTO, "GIF"),
    "gif animated": save(PICTURE, "GIF", save_all=True, append_images=FURTHER),
    "jpeg2000": save(PHOTO, "JPEG2000"),
    "jpeg2000 bare": save(PHOTO, "JPEG2000", no_jp2=True),
    "jpeg2000 tiles": save(PHOTO, "JPEG2000", tile_size=(32, 32)),
    "cmyk": save(PICTURE.convert("CMYK"), "JPEG"),
    "16bit": save_png_16(PHOTO.astype(np.uint16) * 257),
    "mpo": save(PICTURE, "MPO", save_all=True, append_images=FURTHER),
}
if features.check("avif"):
    FILES["avif"] = save(PHOTO, "AVIF")
    FILES["avif animated"] = save(PICTURE, "AVIF", save_all=True, append_images=FURTHER)


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    with Preparer(workers=1) as started:
        yield started


def test_each_kind_of_file_is_known_by_its_first_bytes() -> None:
    assert {name: preparable(data) for name, data in FILES.items()} == {name: name.split()[0] for name in FILES}
    assert {name.split()[0] for name in FILES} | {"heic", "avif", "oversized"} == {word for word, _ in PREPARABLE}


@pytest.mark.parametrize("name", FILES)
def test_the_same_bytes_make_the_same_image(preparer: Preparer, name: str) -> None:
    first = preparer.prepare(FILES[name])
    assert check_image(first.data) is None
    assert (first.width, first.height) == (90, 60)
    with Preparer(workers=1) as other:
        assert other.prepare(FILES[name]) == first


@pytest.mark.parametrize("name", FILES)
def test_an_image_cut_off_anywhere_is_refused_or_whole(name: str) -> None:
    data = FILES[name]
    whole = answer(ANY_SIZE + RECIPE + data).partition(b"\n")[2]
    kept = []
    lengths = {*range(16, 400), *range(400, len(data), max(1, len(data) // 300)), *range(len(data) - 40, len(data))}
    for length in lengths:
        head = data[:length]
        found = answer(ANY_SIZE + RECIPE + head).partition(b"\n")[2] if preparable(head) else b""
        assert found in (b"", whole), length
        if found:
            kept.append(length)
    # What may be missing is a mark of the end, or the images after the first.
    assert min(kept, default=len(data)) > (len(data) - 16 if name not in ("gif animated", "mpo") else len(data) // 3)


@pytest.mark.parametrize("name", FILES)
def test_changed_bytes_make_an_image_or_a_reason(preparer: Preparer, name: str) -> None:
    check_changed_bytes(preparer, FILES[name], name)


def test_a_format_that_the_recipe_leaves_out_is_refused_as_before() -> None:
    with (
        Preparer(Recipe(frozenset({"heic"})), program=("no such program",)) as preparer,
        pytest.raises(ImageRejected, match=r"^WebP image: the service accepts PNG or JPEG"),
    ):
        preparer.prepare(FILES["webp"])


@pytest.mark.parametrize(
    "data",
    [
        save(Image.new("1", (MAX_SIDE + 1, 1)), "TIFF"),
        save(Image.new("1", (1, MAX_SIDE + 1)), "GIF"),
        save(Image.new("L", (1, MAX_SIDE + 1)), "JPEG2000"),
        save(Image.new("RGB", (MAX_SIDE + 1, 1)), "WEBP"),
    ],
    ids=["TIFF", "GIF", "JPEG 2000", "WebP"],
)
def test_an_image_larger_than_the_service_takes_is_refused(preparer: Preparer, data: bytes) -> None:
    # By the worker itself, which has not decoded it.
    assert f"limit of {MAX_SIDE} on a side".encode() in answer(LIGHT + RECIPE + data)
    with pytest.raises(ImageRejected, match=f"limit of {MAX_SIDE} on a side"):
        preparer.prepare(data)


def test_a_bomb_is_refused_by_its_header() -> None:
    """Neither memory nor time for its pixels is needed."""
    tiff = bytearray(save(Image.new("L", (100, 100)), "TIFF", compression="tiff_deflate"))
    for tag in (256, 257):
        at = tiff.index(struct.pack("<HHI", tag, 3, 1)) + 8
        tiff[at : at + 2] = struct.pack("<H", MAX_SIDE)
    # The width and height less one of a lossless WebP: 14 bits each.
    webp = bytearray(FILES["webp lossless"])
    at = webp.index(b"VP8X") + 12
    webp[at : at + 6] = b"\xff\xff\xff\xff\xff\xff"
    with Preparer(workers=1, memory=250 << 20, seconds=5) as bounded:
        with pytest.raises(ImageRejected, match="takes too much memory"):
            bounded.prepare(bytes(tiff))
        with pytest.raises(ImageRejected, match=r"^broken image"):
            bounded.prepare(bytes(webp))
        assert bounded.prepare(FILES["webp"]).width == 90


def test_a_conversion_that_needs_more_memory_than_there_is_is_refused() -> None:
    data = save(Image.new("RGB", (8_000, 8_000)), "TIFF", compression="tiff_deflate")
    with (
        Preparer(workers=1, memory=200 << 20) as preparer,
        pytest.raises(ImageRejected, match=r"takes too much memory: convert it to PNG or JPEG"),
    ):
        preparer.prepare(data)


def test_a_conversion_that_takes_too_long_is_refused() -> None:
    data = save(Image.new("RGB", (4_000, 4_000)), "TIFF", compression="tiff_deflate")
    with (
        Preparer(workers=1, seconds=0.01) as preparer,
        pytest.raises(ImageRejected, match=r"conversion takes more than 0\.01 seconds"),
    ):
        preparer.prepare(data)


def test_an_image_of_many_pixels_is_converted_by_itself() -> None:
    data = save(Image.new("1", (9_000, 8_000)), "TIFF", compression="group4")
    assert answer(LIGHT + RECIPE + data) == b'{"pixels": 72000000}\n'
    with Preparer(workers=1) as preparer:
        prepared = preparer.prepare(data)
    assert (prepared.width, prepared.height) == (9_000, 8_000)


def test_a_file_too_large_is_refused_without_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "MAX_SOURCE_BYTES", len(FILES["bmp"]) - 1)
    with (
        Preparer(program=("no such program",)) as preparer,
        pytest.raises(ImageRejected, match=r"too large to be converted"),
    ):
        preparer.prepare(FILES["bmp"])


def test_a_png_larger_than_the_service_takes_becomes_a_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2_700, 2_700, 3), np.uint8)
    data, notes = encode_image(Image.fromarray(noise), lossless=True, quality=95)
    assert data.startswith(b"\xff\xd8") and len(data) <= MAX_BYTES
    assert notes == ["a JPEG, since its PNG would be larger than the service accepts"]


def test_a_png_that_is_far_too_large_is_not_made_to_find_that_out(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(1)
    flat = np.zeros((3_000, 3_000, 3), np.uint8)
    flat[::2, :, :] = dice.integers(0, 60, (1_500, 3_000, 3), np.uint8)
    half = np.zeros((3_000, 3_000, 3), np.uint8)
    half[:1_500] = dice.integers(0, 256, (1_500, 3_000, 3), np.uint8)
    for pixels in (flat, half, half.transpose(1, 0, 2)):
        data, notes = encode_image(Image.fromarray(pixels), lossless=True, quality=95)
        assert data.startswith(b"\x89PNG") and not notes, "it fits"
    monkeypatch.setattr("astica_sync.local.image.prepare.encode._encode_png", None)
    noise = dice.integers(0, 256, (3_000, 3_000, 3), np.uint8)
    data, notes = encode_image(Image.fromarray(noise), lossless=True, quality=95)
    assert data.startswith(b"\xff\xd8") and notes


def test_no_metadata_are_written() -> None:
    image = Image.fromarray(PHOTO)
    image.info = {"icc_profile": make_p3_profile(), "comment": b"secret", "exif": b"Exif\0\0secret", "dpi": (72, 72)}
    for lossless in (True, False):
        bare = Image.fromarray(PHOTO)
        assert encode_image(image, lossless=lossless, quality=95) == encode_image(bare, lossless=lossless, quality=95)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"Exif\0\0",
        b"MM\0*\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 40,
        # An orientation that is a text.
        b"MM\0*\0\0\0\x08" + struct.pack(">HHHI4sI", 1, 0x0112, 2, 2, b"x\0\0\0", 0),
    ],
)
def test_broken_metadata_are_no_reason(preparer: Preparer, junk: bytes) -> None:
    exif = b"Exif\0\0" + junk
    files = [
        save(PHOTO, "WEBP", exif=exif),
        save(PICTURE.convert("CMYK"), "JPEG", exif=exif),
        save_png_16(PHOTO.astype(np.uint16) * 257, (b"eXIf", junk)),
    ]
    # The place of the Exif data of a TIFF: before the file, in a type with a sign.
    tiff = save(PHOTO, "TIFF", tiffinfo={34665: 9})
    entry = struct.pack("<HHII", 34665, 4, 1, 9)
    assert entry in tiff
    files.append(tiff.replace(entry, struct.pack("<HHIi", 34665, 9, 1, -5)))
    if "avif" in FILES:
        good = Image.Exif()
        good[0x010E] = "x" * 100
        place = good.tobytes().removeprefix(b"Exif\0\0")
        image = save(PHOTO, "AVIF", exif=good)
        assert place in image
        files.append(image.replace(place, (junk + bytes(200))[: len(place)]))
    for data in files:
        prepared = preparer.prepare(data)
        assert (prepared.width, prepared.height) == (90, 60)


def test_a_png_with_a_large_text_is_converted(preparer: Preparer) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "x" * (3 << 20), zip=True)
    assert preparer.prepare(save(Image.fromarray(np.full((9, 9), 700, np.uint16)), "PNG", pnginfo=text)).width == 9


def test_a_raw_photo_does_not_become_its_preview(preparer: Preparer) -> None:
    for tags in ({254: 1}, {50706: b"\x01\x04\0\0"}):
        with pytest.raises(ImageRejected, match=r"^raw photo of a camera"):
            preparer.prepare(save(PHOTO, "TIFF", tiffinfo=tags))


def test_a_damaged_first_image_of_several_is_refused(preparer: Preparer) -> None:
    data = FILES["mpo"]
    at = data.index(b"\xff\xd9\xff\xd8") - 400
    with pytest.raises(ImageRejected, match=r"^broken image"):
        preparer.prepare(data[:at] + bytes(200) + data[at + 200 :])


def test_damage_inside_a_jpeg_of_four_colours_is_found(preparer: Preparer) -> None:
    data = FILES["cmyk"]
    at = len(data) - 500
    with pytest.raises(ImageRejected, match=r"its data are damaged"):
        preparer.prepare(data[:at] + bytes(200) + data[at + 200 :])


def test_a_decoder_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pi_heif", None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x08mdat"
    assert b"HEIC image: not checked, as that needs astica-sync[heic]; install it to have the image" in answer(
        LIGHT + RECIPE + data
    )
    monkeypatch.setattr(features, "check", lambda name: False)
    data = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + b"\0\0\0\x08mdat"
    assert b"AVIF image: not checked, as that needs Pillow 11.3 or later; install it" in answer(LIGHT + RECIPE + data)


def test_an_image_is_made_smaller_only_where_its_longer_side_has_more(preparer: Preparer) -> None:
    for most, sides in ((45, (45, 30)), (90, (90, 60)), (2000, (90, 60)), (16, (16, 11))):
        prepared = preparer.prepare(FILES["tiff"], Recipe(max_side=most))
        assert (prepared.width, prepared.height) == sides and prepared.source_sides == (90, 60)
        assert ("made smaller, from 90 x 60 pixels" in prepared.notes) == (most < 90)
    thin = save(Image.new("RGB", (4000, 1)), "TIFF")
    assert (lambda made: (made.width, made.height))(preparer.prepare(thin, Recipe(max_side=16))) == (16, 1)


def test_the_first_of_several_jpegs_stays_byte_for_byte_unless_it_is_too_long(preparer: Preparer) -> None:
    whole = preparer.prepare(FILES["mpo"])
    assert preparer.prepare(FILES["mpo"], Recipe(max_side=90, quality=20)).data == whole.data
    smaller = preparer.prepare(FILES["mpo"], Recipe(max_side=30))
    assert (smaller.width, smaller.height, smaller.source_sides) == (30, 20, (90, 60))
    assert smaller.notes == ("the first of several images", "made smaller, from 90 x 60 pixels")


def test_a_lower_quality_makes_fewer_bytes_and_changes_no_png(preparer: Preparer) -> None:
    lossy, lossless = FILES["webp"], FILES["bmp"]
    assert len(preparer.prepare(lossy, Recipe(quality=20)).data) < len(preparer.prepare(lossy).data) / 2
    assert preparer.prepare(lossless, Recipe(quality=20)).data == preparer.prepare(lossless).data


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(
    ("colour", "expected"), [("#ffffff", (255,) * 3), ("#102030", (16, 32, 48)), ("#808080", (128,) * 3)]
)
def test_transparency_is_laid_on_the_background(
    preparer: Preparer, mode: str, colour: str, expected: tuple[int, int, int]
) -> None:
    image = Image.new(mode, (20, 10), 0)
    prepared = preparer.prepare(save(image, "TIFF"), Recipe(background=colour))
    assert Image.open(io.BytesIO(prepared.data)).convert("RGB").getcolors() == [(200, expected)]
    assert prepared.notes == (f"transparency laid on {'white' if colour == '#ffffff' else colour}",)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "AVIF"])
def test_the_frame_is_chosen_and_of_fewer_the_last(preparer: Preparer, kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    colours = ((250, 0, 0), (0, 250, 0), (0, 0, 250))
    first, *others = (Image.new("RGB", (32, 32), colour) for colour in colours)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = save(first, kind, save_all=True, append_images=others, **options)
    for frame, note in ((1, "the first of several images"), (2, "image 2 of several"), (3, "image 3 of several"),
                        (9, "image 3 of several")):  # fmt: skip
        prepared = preparer.prepare(data, Recipe(frame=frame))
        pixel = Image.open(io.BytesIO(prepared.data)).convert("RGB").getpixel((16, 16))
        assert np.abs(np.subtract(pixel, colours[min(frame, 3) - 1])).max() < 12 and note in prepared.notes
    alone = preparer.prepare(save(first, kind, **options), Recipe(frame=2))
    assert "image 2 of several" not in alone.notes


def test_an_image_above_the_limits_is_named_with_the_setting_that_makes_it_fit(
    preparer: Preparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = save(Image.new("1", (MAX_SIDE + 1, 8)), "TIFF")
    with pytest.raises(
        ImageRejected, match=r"more than the service's limit of 16000 on a side: set max_side = 16000 in"
    ):
        preparer.prepare(long)
    assert preparer.prepare(long, Recipe(max_side=16_000)).width == 16_000
    monkeypatch.setattr(judge_size, "MAX_BYTES", 6_000)
    noise = save(np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8), "TIFF")
    with pytest.raises(ImageRejected, match=r"when it is converted, more than .*: set max_side = \d+ in") as refused:
        preparer.prepare(noise)
    side = int(str(refused.value).partition("max_side = ")[2].split()[0])
    assert len(preparer.prepare(noise, Recipe(max_side=side)).data) <= 6_000
