"""Images of the formats that are converted, made from plain arrays, and colour profiles made from their formulas."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.harness.damaged_images import make_png

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

PHOTO: Pixels = np.stack(
    [
        np.add.outer(np.arange(60) * 4.0, np.zeros(90)),
        np.add.outer(np.zeros(60), np.arange(90) * 2.8),
        np.add.outer(np.arange(60) * 2.0, np.arange(90) * 1.4),
    ],
    axis=2,
).astype(np.uint8)
"""Three slopes, so that no turn and no exchange of colours leaves it as it is."""
ALPHA: Pixels = np.add.outer(np.arange(60) * 1.4, np.arange(90) * 1.9).astype(np.uint8)

P3_TO_XYZ = np.array([[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0.0, 0.04511, 1.04394]])
SRGB_TO_XYZ = np.array([[0.41239, 0.35758, 0.18048], [0.21264, 0.71517, 0.07219], [0.01933, 0.11919, 0.95053]])
"""Both for the white of D65 (SMPTE EG 432-1, IEC 61966-2-1)."""
_D65_TO_D50 = np.array([[1.04788, 0.02292, -0.05022], [0.02959, 0.99048, -0.01707], [-0.00925, 0.01508, 0.75168]])
_D50 = (0.9642, 1.0, 0.8249)


def save(image: Image.Image | Pixels, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, name, **options)
    return file.getvalue()


def save_png_16(values: NDArray[np.uint16], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 bits; the further chunks stand before its pixels."""
    layers = 1 if values.ndim == 2 else values.shape[2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[layers]
    image = make_png(values.shape[1], values.shape[0], 16, colour, False, rows)
    more = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    at = image.index(b"IDAT") - 4
    return image[:at] + more + image[at:]


def on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Each colour over white, rounded once."""
    share = alpha.astype(float)[..., None] / 255
    return np.floor(pixels * share + 255 * (1 - share) + 0.5).astype(np.uint8)


def to_linear(levels: Floats) -> Floats:
    """Light by the levels of sRGB, both from 0 to 1."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def to_levels(light: Floats) -> Floats:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def p3_to_srgb(pixels: Pixels) -> Pixels:
    light = to_linear(pixels / 255) @ (np.linalg.inv(SRGB_TO_XYZ) @ P3_TO_XYZ).T
    return np.rint(to_levels(light) * 255).astype(np.uint8)


def make_p3_profile() -> bytes:
    """Display P3 as ICC.1:2001-04 has it: three colours, and one curve for all of them."""
    columns = _D65_TO_D50 @ P3_TO_XYZ
    curve = np.rint(to_linear(np.arange(1024) / 1023) * 65535).astype(">u2").tobytes()
    tags = {b"wtpt": _xyz(_D50)}
    for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags[name + b"XYZ"] = _xyz(column)
        tags[name + b"TRC"] = b"curv\0\0\0\0" + struct.pack(">I", 1024) + curve
    return _make_profile(b"mntr", b"RGB ", b"XYZ ", tags)


def make_grey_profile(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    return _make_profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(_D50), b"kTRC": curve})


def make_cmyk_profile() -> bytes:
    """A printer whose inks each take away their share of the light, as a table of nine steps for each ink."""
    steps = 9
    inks = np.stack(np.meshgrid(*[np.arange(steps) / (steps - 1)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    lab = _to_lab(to_linear(print_inks(inks)))
    encoded = np.stack([lab[:, 0] * 2.55, lab[:, 1] + 128, lab[:, 2] + 128], axis=1)
    ramp = bytes(range(256))
    table = (
        b"mft1\0\0\0\0"
        + bytes((4, 3, steps, 0))
        + struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel())
        + ramp * 4
        + np.rint(encoded).clip(0, 255).astype(np.uint8).tobytes()
        + ramp * 3
    )
    return _make_profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(_D50), b"A2B0": table})


def print_inks(inks: Floats) -> Floats:
    """The levels of sRGB that this printer makes of four inks, all from 0 to 1. They are muted, as no default is."""
    return (1 - inks[..., :3] * 0.7) * (1 - inks[..., 3:])


def _to_lab(light: Floats) -> Floats:
    """CIE L*a*b* for the white of D50, which profiles have, by linear sRGB."""
    share = light @ (_D65_TO_D50 @ SRGB_TO_XYZ).T / np.array(_D50)
    root = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    x, y, z = root[:, 0], root[:, 1], root[:, 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _make_profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79), **tags}
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"none", 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def read_jpeg(data: bytes) -> Pixels:
    """The pixels of a JPEG in three colours, each with every pixel."""
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "JPEG"
        assert [component[1:3] for component in opened.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
        return np.asarray(opened)
