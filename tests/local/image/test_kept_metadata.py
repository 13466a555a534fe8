"""What a converted image keeps of the metadata: nothing by default, or when, where and with what it was taken."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import ExifTags, Image, features

from astica_sync.core.recipe import Recipe
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.prepare.preparer import Preparer
from tests.harness.convertible_images import PHOTO, make_p3_profile, save, save_png_16

KEEP = Recipe(metadata="keep")
BASE, GPS = ExifTags.Base, ExifTags.GPS
DETAILS = {
    BASE.DateTimeOriginal: "2026:05:01 10:00:00",
    BASE.OffsetTimeOriginal: "+02:00",
    BASE.FNumber: 2.5,
    BASE.LensModel: "Lens 50",
}
PLACE = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (47.0, 22.0, 30.5), GPS.GPSLongitudeRef: "E"}
NAMED = {BASE.Make: "Hersteller für".encode(), BASE.Model: "Camera 3", BASE.DateTime: "2026:05:02 11:00:00"}
ABOUT_PEOPLE = {
    BASE.ImageDescription: "private: the description",
    BASE.Artist: "private: Anna",
    BASE.Copyright: "private: Anna",
    BASE.Software: "private: a program",
    BASE.HostComputer: "private: a machine",
}
ALSO_ABOUT_PEOPLE = {
    BASE.UserComment: b"ASCII\0\0\0private: a comment",
    BASE.CameraOwnerName: "private: Anna",
    BASE.BodySerialNumber: "private: 4711",
    BASE.LensSerialNumber: "private: 4712",
    BASE.ImageUniqueID: "private: 4713",
    BASE.RelatedSoundFile: "private: a file",
}


def make_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif.update(NAMED | ABOUT_PEOPLE)
    exif[BASE.Orientation] = orientation
    exif[BASE.XPComment] = b"c\0o\0"
    exif.get_ifd(ExifTags.IFD.Exif).update(
        DETAILS
        | ALSO_ABOUT_PEOPLE
        | {BASE.MakerNote: b"secret of the maker", BASE.ExifImageWidth: 4711, BASE.ColorSpace: 65535}
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(PLACE)
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        exif[directory] = exif.get_ifd(directory)
    return exif


def make(word: str, exif: Image.Exif) -> bytes:
    picture = Image.fromarray(PHOTO)
    options = {"exif": exif, "icc_profile": make_p3_profile()}
    if word == "cmyk":
        return save(picture.convert("CMYK"), "JPEG", exif=exif)
    if word == "oversized":
        return save(picture.resize((16_100, 20)), "JPEG", **options)
    if word == "16bit":
        data = save_png_16(PHOTO.astype(np.uint16) * 257)
        chunk = save(PHOTO, "PNG", exif=exif)
        start = chunk.index(b"eXIf") - 4
        size = int.from_bytes(chunk[start : start + 4], "big") + 12
        return data[:33] + chunk[start : start + size] + data[33:]
    return save(picture, word.upper(), **options)


WORDS = ["webp", "tiff", "cmyk", "16bit", "oversized"] + (["avif"] if features.check("avif") else [])


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    with Preparer(workers=1) as started:
        yield started


@pytest.mark.parametrize("word", WORDS)
def test_date_place_and_camera_are_kept_and_nothing_else(preparer: Preparer, word: str) -> None:
    # Pillow writes the data of a turned AVIF itself, and no other letters than those of ASCII.
    data = make(word, make_exif(orientation=1 if word == "avif" else 6))
    side = 800 if word == "oversized" else 0
    plain = preparer.prepare(data, Recipe(max_side=side))
    kept = preparer.prepare(data, Recipe(max_side=side, metadata="keep"))
    assert not Image.open(io.BytesIO(plain.data)).getexif() and b"Camera 3" not in plain.data
    assert check_image(kept.data) is None
    shown, before = (Image.open(io.BytesIO(one.data)) for one in (kept, plain))
    assert shown.convert("RGB").tobytes() == before.convert("RGB").tobytes(), "the pixels are the same"
    exif = shown.getexif()
    named = {tag: exif[tag] for tag in exif if tag not in (*ExifTags.IFD,)}
    # Pillow reads each byte as a letter.
    assert named | {BASE.Make: named[BASE.Make].encode("latin-1")} == NAMED
    assert exif.get_ifd(ExifTags.IFD.Exif) == DETAILS
    assert exif.get_ifd(ExifTags.IFD.GPSInfo) == PLACE
    assert b"secret" not in kept.data and b"private" not in kept.data and "icc_profile" not in shown.info
    assert [note for note in kept.notes if note not in plain.notes] == ["metadata kept"]


def test_an_image_without_metadata_is_the_same_with_either_setting(preparer: Preparer) -> None:
    for file_format in ("WEBP", "TIFF", "BMP", "GIF", "JPEG2000"):
        data = save(PHOTO, file_format)
        assert preparer.prepare(data, KEEP) == preparer.prepare(data)


def test_broken_and_huge_metadata_are_left_out_and_the_image_is_not(preparer: Preparer) -> None:
    good = make_exif().tobytes()
    huge = make_exif()
    huge[BASE.Model] = "x" * 40_000
    huge.get_ifd(ExifTags.IFD.Exif)[BASE.LensModel] = b"y" * 50_000
    broken = (good[:40], b"Exif\0\0", good[:14] + b"\xff" * 20 + good[34:], b"Exif\0\0II*\0\xff\xff\xff\x7f")
    for exif in (*broken, huge.tobytes()):
        data = save(PHOTO, "WEBP", exif=exif)
        kept, plain = preparer.prepare(data, KEEP), preparer.prepare(data)
        assert check_image(kept.data) is None
        assert Image.open(io.BytesIO(kept.data)).tobytes() == Image.open(io.BytesIO(plain.data)).tobytes()
        assert len(kept.data) < len(plain.data) + 5000


def test_the_metadata_of_a_page_are_those_of_that_page(preparer: Preparer) -> None:
    pages = [Image.fromarray(page) for page in (PHOTO, PHOTO[::-1])]
    pages[1].encoderinfo = {"tiffinfo": {BASE.Model: "second"}}  # type: ignore[attr-defined]
    data = save(pages[0], "TIFF", save_all=True, append_images=pages[1:], tiffinfo={BASE.Model: "first"})
    for frame, model in ((1, "first"), (2, "second")):
        prepared = preparer.prepare(data, Recipe(frame=frame, metadata="keep"))
        assert Image.open(io.BytesIO(prepared.data)).getexif()[BASE.Model] == model


def test_a_heic_keeps_them_as_well(preparer: Preparer) -> None:
    pytest.importorskip("pi_heif")
    from tests.local.image.test_prepared_heic import FILES

    turned = preparer.prepare(FILES["turned"], KEEP)
    assert turned.data == preparer.prepare(FILES["turned"]).data, "it says nothing but how it is turned"
