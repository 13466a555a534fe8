"""Which files can be converted, by their first bytes alone."""

import struct

import numpy as np
import pytest
from PIL import Image

from astica_sync.core.recipe import PREPARABLE, Recipe
from astica_sync.local.image.format import HEAD_BYTES, MAX_BYTES, describe, jpeg_segments, preparable
from tests.harness.convertible_images import PHOTO, save, save_png_16
from tests.harness.damaged_images import DAMAGED, VERDICTS


def box_head(*brands: bytes) -> bytes:
    """How a file of boxes begins: the brand in front, a version, and the brands that it is compatible with."""
    return struct.pack(">I", 8 + 4 * (len(brands) + 1)) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])


@pytest.mark.parametrize(
    ("brands", "word"),
    [
        ((b"heic", b"mif1", b"heic"), "heic"),
        ((b"heix",), "heic"),
        ((b"hevc", b"msf1"), "heic"),
        ((b"mif1", b"miaf", b"heic"), "heic"),
        ((b"mif1", b"mif1", b"miaf", b"avif"), "avif"),
        ((b"msf1", b"msf1", b"avis"), "avif"),
        ((b"mif1", b"mif1"), "heic"),
        ((b"avif", b"mif1", b"miaf", b"MA1B"), "avif"),
        ((b"avis", b"avif", b"msf1"), "avif"),
        ((b"qt  ", b"qt  "), None),
        ((b"isom", b"isom", b"mp41"), None),
        ((b"crx ", b"crx ", b"isom"), None),
    ],
)
def test_a_file_of_boxes_is_known_by_all_of_its_brands(brands: tuple[bytes, ...], word: str | None) -> None:
    head = box_head(*brands)
    for data in (head, head + b"\0\0\0\x08avif", (head + bytes(600))[:HEAD_BYTES]):
        assert preparable(data) == word
        expected = {"heic": "HEIC image", "avif": "AVIF image", None: "video or other media file"}[word]
        assert describe(data, 1000).startswith(expected)


def test_the_brands_of_a_file_cut_off_in_them_are_those_that_are_there() -> None:
    assert preparable(box_head(b"mif1", b"mif1", b"avif")[:18]) == "heic"
    assert preparable(b"\xff\xff\xff\xffftypmif1" + bytes(4) + b"avif") == "avif"


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"", None),
        (b"II*\0\x08\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"II+\0\x08\0\0\0", "tiff"),
        (b"MM\0+\0\x08\0\0", "tiff"),
        (b"II*\0\x10\0\0\0CR\x02\0", None),
        (b"BM" + bytes(12) + struct.pack("<I", 40), "bmp"),
        (b"BM" + bytes(12) + struct.pack("<I", 124), "bmp"),
        (b"BMW and other cars, a list", None),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
        (b"\xff\x4f\xff\x51", "jpeg2000"),
        (b"\xff\x0a", None),
        (b"8BPS\0\1", None),
        (b"%PDF-1.7", None),
        (b"<svg xmlns=''>", None),
        (b"\x89PNG\r\n\x1a\n", None),
    ],
)
def test_the_first_bytes_name_the_format(head: bytes, word: str | None) -> None:
    assert preparable(head) == word


def test_only_a_png_of_16_bits_is_converted() -> None:
    assert preparable(save_png_16(PHOTO.astype(np.uint16))[:HEAD_BYTES]) == "16bit"
    assert preparable(save(PHOTO, "PNG")[:HEAD_BYTES]) is None
    assert preparable(save(Image.new("1", (16, 16)), "PNG")) is None


def test_what_the_service_takes_or_no_decoder_reads_is_not_converted() -> None:
    words = {name: preparable((DAMAGED / name).read_bytes()) for name in VERDICTS}
    taken = {name for name, word in words.items() if word and VERDICTS[name]["reason"] is None}
    # Images that may be sent as they are, and that a program may yet refuse.
    assert {words[name] for name in taken} <= {"cmyk", "16bit", "mpo"}
    assert preparable(save(PHOTO, "JPEG")) is None


def test_a_jpeg_of_four_colours_is_known_once_its_frame_is_there() -> None:
    data = save(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", comment=b"x" * 900)
    assert preparable(data) == "cmyk"
    assert preparable(data[:HEAD_BYTES]) is None
    several = save(Image.new("CMYK", (8, 8)), "MPO", save_all=True, append_images=[Image.new("CMYK", (8, 8))])
    assert preparable(several) == "cmyk"


def mpf_of(data: bytes) -> tuple[int, int]:
    return next((start, end) for marker, start, end in jpeg_segments(data) if data[start + 4 : start + 8] == b"MPF\0")


def test_a_jpeg_of_several_images_is_known_by_its_index() -> None:
    picture = Image.fromarray(PHOTO)
    data = save(picture, "MPO", save_all=True, append_images=[picture])
    assert preparable(data) == "mpo"
    start, end = mpf_of(data)
    assert preparable(data[:end]) == "mpo"
    assert preparable(data[:start]) is None
    # The number of images, in the entry after version and count.
    at = data.index(struct.pack("<HHI", 0xB001, 4, 1)) + 8
    assert data[at] == 2
    assert preparable(data[:at] + b"\1" + data[at + 1 :]) is None


def test_a_png_or_jpeg_above_the_limits_is_known_by_its_header_and_its_size() -> None:
    for file_format in ("PNG", "JPEG"):
        for width, height, word in ((16_001, 1, "oversized"), (1, 16_001, "oversized"), (16_000, 1, None)):
            assert preparable(save(Image.new("L", (width, height)), file_format)) == word
        small = save(PHOTO, file_format)
        assert preparable(small, MAX_BYTES) is None and preparable(small, MAX_BYTES + 1) == "oversized"
    tags = save(Image.new("L", (16_001, 1)), "JPEG", comment=b"x" * 900)
    assert preparable(tags) == "oversized" and preparable(tags[:HEAD_BYTES]) is None
    picture = Image.fromarray(PHOTO)
    others = {
        "cmyk": save(picture.convert("CMYK"), "JPEG"),
        "16bit": save_png_16(PHOTO.astype(np.uint16)),
        "mpo": save(picture, "MPO", save_all=True, append_images=[picture]),
    }
    assert {preparable(data, MAX_BYTES + 1) for data in others.values()} == {*others}


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_index_of_several_images_may_have_either_order_of_bytes(order: str) -> None:
    name = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}IHHHII", 8, 2, 0xB000, 7, 4, 0x30303130)
    entries += struct.pack(f"{order}HHII", 0xB001, 4, 1, 3)
    for index, word in (
        (name + entries, "mpo"),
        (name + entries[:-2], None),
        (name, None),
        (name + struct.pack(f"{order}IH", 8, 0), None),
        (name + struct.pack(f"{order}I", 2**31), None),
    ):
        segment = b"MPF\0" + index
        head = b"\xff\xd8\xff\xe2" + struct.pack(">H", 2 + len(segment)) + segment + b"\xff\xda\0\x02"
        assert preparable(head) == word


def test_each_word_stands_for_one_format_and_the_recipe_has_all() -> None:
    words = [word for word, _ in PREPARABLE]
    assert len({*words}) == len(words)
    assert Recipe().formats == {*words}
    assert Recipe() == Recipe(frozenset(words))
