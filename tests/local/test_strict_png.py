"""The pixels of a PNG decide whether it is good, not its metadata; each chunk must match its checksum."""

import io
import random
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.decoder_process import check_image

MEGABYTE = 1 << 20
START = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode(**options: object) -> bytes:
    noise = Image.frombytes("RGB", (64, 48), random.Random(3).randbytes(64 * 48 * 3))
    file = io.BytesIO()
    noise.save(file, "PNG", **options)
    return file.getvalue()


PLAIN = encode()
HEADER_END = len(START) + 25


def with_chunk(kind: bytes, data: bytes) -> bytes:
    return PLAIN[:HEADER_END] + chunk(kind, data) + PLAIN[HEADER_END:]


def inflating(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


METADATA = {
    "2 MB of plain text": with_chunk(b"tEXt", b"parameters\0" + b"a prompt " * 250_000),
    "2 MB of packed text": with_chunk(b"zTXt", b"parameters\0\0" + inflating(2 * MEGABYTE)),
    "2 MB of packed Unicode text": with_chunk(b"iTXt", b"workflow\0\1\0\0\0" + inflating(2 * MEGABYTE)),
    "2 MB of Unicode text": with_chunk(b"iTXt", b"workflow\0\0\0\0\0" + "ü".encode() * MEGABYTE),
    "a profile of 2 MB": with_chunk(b"iCCP", b"scanner\0\0" + inflating(2 * MEGABYTE)),
    "Exif data of 2 MB": with_chunk(b"eXIf", b"II*\0\x08\0\0\0" + bytes(2 * MEGABYTE)),
    "a text bomb": with_chunk(b"zTXt", b"Comment\0\0" + inflating(80 * MEGABYTE)),
    "a profile bomb": with_chunk(b"iCCP", b"bomb\0\0" + inflating(80 * MEGABYTE)),
    "a hundred texts of 1 MB each": PLAIN[:HEADER_END]
    + chunk(b"zTXt", b"Comment\0\0" + inflating(MEGABYTE)) * 100
    + PLAIN[HEADER_END:],
    "a text that is not packed": with_chunk(b"zTXt", b"Comment\0\0no zlib stream"),
    "a profile that is not packed": with_chunk(b"iCCP", b"profile\0\0no zlib stream"),
    "a text without its separator": with_chunk(b"zTXt", b"Comment"),
    "a physical size that is cut": with_chunk(b"pHYs", b"\0"),
    "a private chunk": with_chunk(b"prVt", bytes(3 * MEGABYTE)),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_of_any_size_and_content_do_not_decide(name: str) -> None:
    assert check_image(METADATA[name]) is None


def test_bombs_in_metadata_stay_packed() -> None:
    with Decoder(workers=1, memory=160 << 20) as decoder:
        for name, image in METADATA.items():
            assert decoder.check_bytes(image) is None, name


def flip(image: bytes, at: int) -> bytes:
    return image[:at] + bytes([image[at] ^ 1]) + image[at + 1 :]


def find(image: bytes, kind: bytes) -> int:
    return image.index(kind)


DAMAGE: dict[str, Callable[[], bytes]] = {
    "a bit of the header": lambda: flip(PLAIN, find(PLAIN, b"IHDR") + 7),
    "a bit of the data": lambda: flip(PLAIN, find(PLAIN, b"IDAT") + 500),
    "a bit of a checksum": lambda: flip(PLAIN, len(PLAIN) - 16),
    "a bit of the kind of a chunk": lambda: flip(PLAIN, find(PLAIN, b"IDAT")),
    "a bit of a length": lambda: flip(PLAIN, find(PLAIN, b"IDAT") - 1),
    "a bit of a text": lambda: flip(METADATA["2 MB of plain text"], MEGABYTE),
    "zeros in the middle": lambda: PLAIN[:4000] + bytes(4096) + PLAIN[8096:],
    "half the file": lambda: PLAIN[: len(PLAIN) // 2],
    "all but the last data": lambda: PLAIN[: len(PLAIN) - 17],
    "a piece is missing": lambda: PLAIN[:4000] + PLAIN[4100:],
    "another file from the middle on": lambda: PLAIN[:4000] + random.Random(4).randbytes(5000),
    "no data at all": lambda: PLAIN[:HEADER_END] + chunk(b"IEND", b""),
    "a palette image without palette": lambda: (
        START + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)) + chunk(b"IEND", b"")
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_with_the_reason(name: str) -> None:
    reason = check_image(DAMAGE[name]())
    assert reason is not None and reason.startswith("broken image, ")
    assert ".astica-ignore" in reason


def animated() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 90, 180)]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    return file.getvalue()


COMPLETE = {
    "an animation": animated(),
    "an animation with a damaged later frame": flip(animated(), find(animated(), b"fdAT") + 12),
    "the end chunk is missing": PLAIN[:-12],
    "garbage after the end": PLAIN + b"\0" * 4096 + PLAIN[:100],
    "two images, one after the other": PLAIN + animated(),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_png_whose_pixels_are_complete_is_good(name: str) -> None:
    assert check_image(COMPLETE[name]) is None
