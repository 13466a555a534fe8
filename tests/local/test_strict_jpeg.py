"""A JPEG with damaged data is refused, though ordinary decoders show it; one that is only odd is not."""

import base64
import io
import random
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import jpeg_segments
from astica_sync.local.image.strict_jpeg import NotSupported, find_damage

# 24 x 16 pixels by libjpeg-turbo's cjpeg, which Pillow cannot write.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4z"
    "NDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/yQARCAAQABgDASIAAhEB"
    "AxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AIi2c/YaAKxyl/vE/o87VUFOGfGkzP/Z"
)
ARITHMETIC_PROGRESSIVE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4z"
    "NDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/ygARCAAQABgDASIAAhEB"
    "AxEB/8wABgAQARD/2gAMAwEAAhADEAAAAf8AAuL9/8wABBAF/9oACAEBAAEFApzM40whnP/MAAQRBf/aAAgBAwEBPwHA/8wABBEF/9oACAECAQE/AcD/"
    "zAAEEAX/2gAIAQEABj8CXhPy/8wABBAF/9oACAEBAAE/IUwgIP/aAAwDAQACAAMAAAAQS9D/zAAEEQX/2gAIAQMBAT8QwP/MAAQRBf/aAAgBAgEBPxDA"
    "/8wABBAF/9oACAEBAAE/EB63k7ZZGiBA/9k="
)
ODD_SUBSAMPLING = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4z"
    "NDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/wAARCAAQABgDATEAAhEB"
    "AxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAAcI/8QAFxAAAwEAAAAAAAAAAAAAAAAAAAVjof/EABQBAQAAAAAAAAAAAAAAAAAAAAD/xAAUEQEAAAAAAAAA"
    "AAAAAAAAAAAA/9oADAMBAAIRAxEAPwCfp08CdPAnTwDQCfPAnzwJ88A//9k="
)


def encode(size: tuple[int, int] = (320, 240), mode: str = "RGB", form: str = "JPEG", **options: object) -> bytes:
    """A picture with as much detail as a photo."""
    noise = Image.frombytes("RGB", (80, 60), random.Random(17).randbytes(80 * 60 * 3))
    picture = noise.resize(size, Image.Resampling.BICUBIC).convert(mode)
    file = io.BytesIO()
    picture.save(file, form, **({"quality": 95} | options))
    return file.getvalue()


def encode_flat() -> bytes:
    file = io.BytesIO()
    Image.new("L", (640, 480), 255).save(file, "JPEG", optimize=True)
    return file.getvalue()


PLAIN = encode()
PROGRESSIVE = encode(progressive=True)
FLAT = encode_flat()
RESTARTS = encode(restart_marker_rows=1)
EOI = b"\xff\xd9"


def data_start(image: bytes) -> int:
    """Where the header ends."""
    return list(jpeg_segments(image))[-1][2]


def insert(image: bytes, segment: bytes) -> bytes:
    return image[:2] + segment + image[2:]


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def with_scan_parameters(image: bytes, parameters: bytes) -> bytes:
    end = data_start(image)
    return image[: end - 3] + parameters + image[end:]


def before_restarts(image: bytes, filler: bytes) -> bytes:
    head = data_start(image)
    return image[:head] + re.sub(rb"\xff[\xd0-\xd7]", lambda marker: filler + marker[0], image[head:])


ODD_AND_GOOD = {
    "grey": encode(mode="L"),
    "CMYK": encode(mode="CMYK"),
    "progressive": PROGRESSIVE,
    "restart markers": RESTARTS,
    "optimised tables": encode(optimize=True),
    "one colour, of which the data are zero bytes": FLAT,
    "no subsampling": encode(subsampling=0),
    "one pixel": encode((1, 1)),
    "arithmetic coding": ARITHMETIC,
    "progressive arithmetic coding": ARITHMETIC_PROGRESSIVE,
    "unusual subsampling": ODD_SUBSAMPLING,
    "several pictures (MPO)": encode(form="MPO", save_all=True, append_images=[Image.new("RGB", (320, 240))]),
    "a video appended (motion photo)": PLAIN + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 100,
    "two images, one after the other": PLAIN + PROGRESSIVE,
    "zero bytes appended": PLAIN + bytes(4096),
    "scan parameters of a front camera": with_scan_parameters(PLAIN, b"\0\0\0"),
    "an unknown revision of JFIF": PLAIN.replace(b"JFIF\0\x01", b"JFIF\0\x07", 1),
    "an unknown colour transform of Adobe": insert(PLAIN, segment(0xEE, b"Adobe\0\x64\0\0\0\0\x07")),
    "a damaged profile": insert(PLAIN, segment(0xE2, b"ICC_PROFILE\0\x05\x03" + bytes(16))),
    "damaged Exif data": insert(PLAIN, segment(0xE1, b"Exif\0\0" + b"\xff" * 40)),
    "a comment of 64 KB": insert(PLAIN, segment(0xFE, b"x" * 65533)),
    "filler bytes between segments": PLAIN[:20] + b"\0\0\0" + PLAIN[20:],
    "one stray byte at the end of the data": PLAIN[:-2] + b"\x7f" + EOI,
    "zero bytes at the end of the data": PLAIN[:-2] + bytes(4096) + EOI,
    "zero bytes after 0xff00 at the end of the data": PLAIN[:-2] + b"\xff\0" + bytes(4096) + EOI,
    "zero bytes before each restart marker": before_restarts(RESTARTS, bytes(700)),
}


@pytest.mark.parametrize("name", ODD_AND_GOOD)
def test_an_odd_jpeg_is_good(name: str) -> None:
    assert check_image(ODD_AND_GOOD[name]) is None


def zero(image: bytes, at: int, size: int = 4096) -> bytes:
    return image[:at] + bytes(size) + image[at + size :]


def swap_blocks(image: bytes) -> bytes:
    at = data_start(image) + 2000
    return image[:at] + image[at + 512 : at + 1024] + image[at : at + 512] + image[at + 1024 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "zeros where the data begin": lambda image: zero(image, data_start(image)),
    "zeros in the middle": lambda image: zero(image, len(image) // 2),
    "one sector of zeros": lambda image: zero(image, len(image) // 2, 512),
    "zeros at the end": lambda image: zero(image, len(image) - 4096),
    "zeros before the last marker": lambda image: zero(image, len(image) - 4098),
    "half the file": lambda image: image[: len(image) // 2],
    "the last two bytes are missing": lambda image: image[:-2],
    "the last bytes are missing, the end marker is there": lambda image: image[:-40] + EOI,
    "another file from the middle on": lambda image: image[: len(image) // 2] + bytes(range(256)) * 40,
    "ones in the middle": lambda image: image[: len(image) // 2] + b"\xff" * 4096 + image[len(image) // 2 + 4096 :],
    "a piece is missing": lambda image: image[: len(image) // 2] + image[len(image) // 2 + 4096 :],
    "a piece is there twice": lambda image: image[: len(image) // 2] + image[len(image) // 2 - 4096 :],
    "two sectors swapped": swap_blocks,
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("image", [PLAIN, PROGRESSIVE, RESTARTS], ids=["plain", "progressive", "restarts"])
def test_damaged_data_are_refused_with_the_reason_and_what_to_do(kind: str, image: bytes) -> None:
    reason = check_image(DAMAGE[kind](image))
    assert reason is not None and reason.startswith("broken image, ")
    assert "save it again with an image editor, or list it in .astica-ignore" in reason


def test_damage_behind_a_harmless_oddity_is_found() -> None:
    for odd in ("scan parameters of a front camera", "an unknown revision of JFIF", "a damaged profile"):
        image = ODD_AND_GOOD[odd]
        assert "data are damaged" in str(check_image(zero(image, len(image) // 2))), odd


def test_damage_and_fillers_together_are_damage() -> None:
    image = before_restarts(RESTARTS, bytes(700))
    assert "data are damaged" in str(check_image(zero(image, len(image) // 2 + 300, 4096)))


def test_what_the_strict_decoder_cannot_decode_is_left_to_the_other_one() -> None:
    with pytest.raises(NotSupported):
        find_damage(ODD_SUBSAMPLING)
    assert check_image(ODD_SUBSAMPLING) is None
    assert "truncated" in str(check_image(ODD_SUBSAMPLING[:-12]))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([PLAIN, PROGRESSIVE, RESTARTS, ARITHMETIC]), st.data())
def test_any_change_of_any_jpeg_is_a_verdict_in_one_line(image: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(image)))
    patch = data.draw(st.binary(max_size=8))
    reason = check_image(image[:at] + patch + image[at + data.draw(st.integers(0, 8)) :])
    assert reason is None or reason.isprintable()
