"""What is kept of an image to compare it: hashes that find candidates, and few pixels that confirm them."""

import functools
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

RASTER_SIDE = 128
"""The image is given as a square of so many pixels, upright, in sRGB, transparency laid on a plain colour."""
SIDE = 40
"""The side of the kept picture in grey."""
COLOUR_SIDE = 10
"""The side of the kept picture in colour differences."""

MIN_CONTRAST = 3.0
"""Standard deviation in levels below which an image has no structure to compare; it is like none."""

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
CROPS: tuple[Box, ...] = (
    (0.015, 0.015, 0.985, 0.985),
    (0.03, 0.03, 0.97, 0.97),
    (0.0, 0.0, 0.97, 0.97),
    (0.03, 0.03, 1.0, 1.0),
)
"""Parts of an image whose hashes are looked for among those of whole images. Each crop of up to 3 % of a side is nearly
one of them."""
MIRRORED = 1 + len(CROPS)
TRIMMED = MIRRORED + 1
HASHES = TRIMMED + 1
"""An image has so many hashes: of the whole, of the parts, of the mirrored one, and of what is inside its bars."""

_VERSION = 1
_HEAD = struct.Struct("<BB2x4f")
_HAS_TRIMMED = 1
_HAS_STRUCTURE = 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_PICTURE_BYTES = SIDE * SIDE + 2 * COLOUR_SIDE * COLOUR_SIDE
# Lines of a bar differ by no more than noise and the rest of a strong compression.
_BAR_SPREAD = 12.0
_MOST_BAR = 0.45
_LEAST_STEP = 0.02
_LEAST_BAR = 0.02
_FIRST_LINES = 4


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture in grey, (``SIDE``, ``SIDE``), and in differences of red and of blue to it, halved, (``COLOUR_SIDE``,
    ``COLOUR_SIDE``, 2)."""

    luma: npt.NDArray[np.uint8]
    chroma: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """What is kept of one image. ``hashes`` are ``HASHES`` numbers of 64 bits; ``whole`` its pixels, and ``trimmed``
    those within ``inside``, the part of it that is between its bars, None without bars. ``has_structure`` is False for
    an image of one colour."""

    hashes: npt.NDArray[np.uint64]
    whole: Pixels
    trimmed: Pixels | None
    inside: Box
    has_structure: bool


def make_small_picture(raster: npt.NDArray[np.uint8]) -> SmallPicture:
    """From a square raster (``RASTER_SIDE``, ``RASTER_SIDE``, 3) in red, green and blue."""
    colours = raster.astype(np.float32)
    luma = colours @ _LUMA
    structure, has_structure = luma, True
    # A brightness with contrast needs no look at the channels: it is a mean of them, and varies no more than they do.
    if luma.std() < MIN_CONTRAST:
        # Colours of the same brightness: the channel with the most contrast has the structure.
        spread = colours.std(axis=(0, 1))
        structure = colours[..., int(spread.argmax())]
        has_structure = bool(spread.max() >= MIN_CONTRAST)
    inside = _find_inside(colours)
    hashes = _difference_hashes(structure, (WHOLE, *CROPS))
    hashes += _difference_hashes(structure[:, ::-1], (WHOLE,))
    hashes += _difference_hashes(structure, (inside,)) if inside else hashes[:1]
    differences = np.stack((colours[..., 0] - luma, colours[..., 2] - luma), -1) / 2
    return SmallPicture(
        np.array(hashes, np.uint64),
        _pixels(structure, differences, WHOLE),
        _pixels(structure, differences, inside) if inside else None,
        inside or WHOLE,
        has_structure,
    )


def encode(picture: SmallPicture) -> bytes:
    """The picture as bytes for a database."""
    flags = _HAS_STRUCTURE * picture.has_structure + _HAS_TRIMMED * (picture.trimmed is not None)
    parts = [_HEAD.pack(_VERSION, flags, *picture.inside), picture.hashes.astype("<u8").tobytes()]
    for pixels in (picture.whole, picture.trimmed):
        if pixels is not None:
            parts += [pixels.luma.tobytes(), pixels.chroma.tobytes()]
    return b"".join(parts)


def decode(data: bytes) -> SmallPicture | None:
    """The picture that ``encode`` wrote; None for bytes that are none, as a damaged or older cache has them."""
    start = _HEAD.size + 8 * HASHES
    if len(data) < start + _PICTURE_BYTES:
        return None
    version, flags, *inside = _HEAD.unpack_from(data)
    pictures = 2 if flags & _HAS_TRIMMED else 1
    if (
        version != _VERSION
        or len(data) != start + pictures * _PICTURE_BYTES
        or not all(0 <= one <= 1 for one in inside)
    ):
        return None
    read = [_read_pixels(data, start + number * _PICTURE_BYTES) for number in range(pictures)]
    left, top, right, bottom = inside
    return SmallPicture(
        read_hashes(data),
        read[0],
        read[1] if pictures == 2 else None,
        (left, top, right, bottom),
        bool(flags & _HAS_STRUCTURE),
    )


def read_hashes(data: bytes) -> npt.NDArray[np.uint64]:
    """The hashes of what ``encode`` wrote."""
    return np.frombuffer(data, "<u8", HASHES, _HEAD.size).astype(np.uint64)


def _read_pixels(data: bytes, start: int) -> Pixels:
    luma = np.frombuffer(data, np.uint8, SIDE * SIDE, start).reshape(SIDE, SIDE)
    chroma = np.frombuffer(data, np.int8, 2 * COLOUR_SIDE**2, start + SIDE * SIDE)
    return Pixels(luma, chroma.reshape(COLOUR_SIDE, COLOUR_SIDE, 2))


def _pixels(structure: Floats, differences: Floats, box: Box) -> Pixels:
    luma = np.clip(_average(structure, SIDE, SIDE, box) + 0.5, 0, 255).astype(np.uint8)
    red, blue = (_average(differences[..., channel], COLOUR_SIDE, COLOUR_SIDE, box) for channel in (0, 1))
    return Pixels(luma, np.clip(np.rint(np.stack((red, blue), -1)), -127, 127).astype(np.int8))


def _difference_hashes(structure: Floats, boxes: tuple[Box, ...]) -> list[int]:
    """64 bits of each part: whether each of 8 x 8 places is darker than the next one to its right, by more than what
    compression changes in a plain ground."""
    across, down = _grids(boxes)
    places = (down @ structure).reshape(len(boxes), 8, -1) @ across
    spread = places.reshape(len(boxes), -1).std(axis=1)[:, None, None]
    darker = places[:, :, 1:] > places[:, :, :-1] + np.float32(_LEAST_STEP) * spread
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(darker.reshape(len(boxes), -1), axis=1)]


@functools.lru_cache(maxsize=256)
def _grids(boxes: tuple[Box, ...]) -> tuple[Floats, Floats]:
    """The weights of 9 places across, (parts, ``RASTER_SIDE``, 9), and of 8 down, (8 x parts, ``RASTER_SIDE``)."""
    across = np.stack([_weights(9, left, right).T for left, _, right, _ in boxes])
    return across, np.concatenate([_weights(8, top, bottom) for _, top, _, bottom in boxes])


def _average(plane: Floats, rows: int, columns: int, box: Box) -> Floats:
    """The means of a part of a plane over a grid of so many rows and columns."""
    left, top, right, bottom = box
    averaged: Floats = _weights(rows, top, bottom) @ plane @ _weights(columns, left, right).T
    return averaged


@functools.lru_cache(maxsize=256)
def _weights(count: int, start: float, end: float) -> Floats:
    """How much each of ``RASTER_SIDE`` pixels counts in each of ``count`` equal parts between ``start`` and ``end``."""
    edges = np.linspace(start * RASTER_SIDE, end * RASTER_SIDE, count + 1)
    places = np.arange(RASTER_SIDE)
    overlap = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    clipped = np.clip(overlap, 0, None)
    return np.asarray(clipped / clipped.sum(1, keepdims=True), np.float32)


def _find_inside(colours: Floats) -> Box | None:
    """The part between two bars of one colour, above and below or left and right; None where there are no bars."""
    best: Box | None = None
    for across in (False, True):
        lines = colours.transpose(1, 0, 2) if across else colours
        first, last = _count_lines(lines), _count_lines(lines[::-1])
        if min(first, last) < _LEAST_BAR * RASTER_SIDE or max(first, last) > _MOST_BAR * RASTER_SIDE:
            continue
        if np.abs(lines[0].mean(0) - lines[-1].mean(0)).max() > _BAR_SPREAD:
            continue
        # The line beside a bar may have a part of it.
        start, end = (first + 0.5) / RASTER_SIDE, 1 - (last + 0.5) / RASTER_SIDE
        inside = (start, 0.0, end, 1.0) if across else (0.0, start, 1.0, end)
        if best is None or end - start < min(best[2] - best[0], best[3] - best[1]):
            best = inside
    return best


def _count_lines(lines: Floats) -> int:
    """How many of the first lines have the one colour of the first."""
    colour = lines[0].mean(0)
    # Most pictures have no bar, which few lines show.
    for some in (lines[:_FIRST_LINES], lines):
        plain = _are_plain(some, colour)
        if not plain.all():
            return int(plain.argmin())
    return 0


def _are_plain(lines: Floats, colour: Floats) -> npt.NDArray[np.bool_]:
    are_plain: npt.NDArray[np.bool_] = np.abs(lines - colour).max(axis=(1, 2)) <= _BAR_SPREAD
    return are_plain
