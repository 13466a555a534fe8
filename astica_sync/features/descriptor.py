"""A description of a small image without a network: histograms of gradients, of colours, and a grey thumbnail."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Floats = npt.NDArray[np.floating[Any]]

SIDE = 64
BINS = 9
THUMBNAIL = 12


def sizes(cell: int) -> tuple[int, int, int]:
    """How many numbers of shape, of colour and of the thumbnail a description has."""
    return 4 * BINS * (SIDE // cell - 1) ** 2, 2 * 64, THUMBNAIL**2


def describe(image: "Image.Image", cell: int) -> Floats:
    """The description of an RGB image.

    Args:
        image: of any size; it is scaled to ``SIDE`` times ``SIDE`` pixels.
        cell: the side of a cell of the gradients in these pixels, a divisor of ``SIDE``. Small cells tell finer shapes
            and give more numbers: 1,764 of shape with 8, 324 with 16.
    """
    from PIL import Image

    square = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    grey = square.convert("L")
    thumbnail = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), np.float32).ravel() / 255
    thumbnail = (thumbnail - thumbnail.mean()) / (thumbnail.std() + 0.05)
    return np.concatenate((_shape(np.asarray(grey, np.float32) / 255, cell), _colour(square), thumbnail))


def _shape(grey: Floats, cell: int) -> Floats:
    """The strength of the edges in each direction and cell, normalised over neighbouring cells."""
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    direction = np.mod(np.arctan2(down, right), np.pi)
    bins = np.minimum((direction * (BINS / np.pi)).astype(np.intp), BINS - 1)
    cells = SIDE // cell
    rows, columns = np.indices(grey.shape) // cell
    flat = ((rows * cells + columns) * BINS + bins).ravel()
    histogram = np.bincount(flat, strength.ravel(), cells * cells * BINS).reshape(cells, cells, BINS)
    blocks = np.concatenate([histogram[i : i + cells - 1, j : j + cells - 1] for i in (0, 1) for j in (0, 1)], axis=2)
    shares: Floats = np.sqrt(blocks / (blocks.sum(axis=2, keepdims=True) + 0.1))
    return shares.astype(np.float32).ravel()


def _colour(square: "Image.Image") -> Floats:
    """The frequency of 64 colours in the whole image and in its centre."""
    levels = np.asarray(square, np.uint8) >> 6
    index = (levels[..., 0] << 4) | (levels[..., 1] << 2) | levels[..., 2]
    edge = SIDE // 4
    parts = (index, index[edge:-edge, edge:-edge])
    counts = [np.sqrt(np.bincount(part.ravel(), minlength=64) / part.size) for part in parts]
    return np.concatenate(counts).astype(np.float32)
