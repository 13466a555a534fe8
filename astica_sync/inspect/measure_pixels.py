"""Measures the pixels of one image."""

import functools

import numpy as np
import numpy.typing as npt

from astica_sync.inspect.measurer import Measures
from astica_sync.likeness.small_picture import RASTER_SIDE, encode, make_small_picture

SIDE = 384
"""The side of the rasters that are measured."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FINEST = 0.995
_SAMPLED = 16
_BELOW = 0.02
_GROUP = 16


def measure_pixels(pixels: "npt.NDArray[np.uint8]") -> Measures:
    """Of a raster of ``SIDE`` (height, width, 3)."""
    luma = pixels.astype(np.float32) @ _LUMA
    picture = encode(make_small_picture(_to_square(pixels)))
    return Measures(float(luma.mean()), float(luma.std()), _sharpness(luma), picture)


def _sharpness(luma: "npt.NDArray[np.float32]") -> float:
    """The second difference that one in two hundred pixels exceeds: large at edges from one pixel to the next."""
    if min(luma.shape) < 3:
        return 0.0
    middle = luma[1:-1, 1:-1]
    sides = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return high_quantile(np.abs(4 * middle - sides).ravel(), _FINEST)


def high_quantile(values: "npt.NDArray[np.float32]", share: float) -> float:
    """``numpy.quantile`` in a third of the time: a part of the values shows which of all are so low that they do not
    matter."""
    place = share * (values.size - 1)
    lower = int(place)
    some = values[::_SAMPLED]
    bound = int((share - _BELOW) * some.size)
    high = values[values >= np.partition(some, bound)[bound]]
    if high.size < values.size - lower:
        high = values
    rank = high.size - (values.size - lower)
    upper = min(rank + 1, high.size - 1)
    ordered = np.partition(high, (rank, upper))
    low, high_value = float(ordered[rank]), float(ordered[upper])
    return low + (high_value - low) * (place - lower)


def _to_square(pixels: "npt.NDArray[np.uint8]") -> "npt.NDArray[np.uint8]":
    height, width = pixels.shape[:2]
    rows = _shorten(pixels.reshape(height, -1).astype(np.float32)).reshape(RASTER_SIDE, width, 3)
    columns = _shorten(rows.transpose(1, 0, 2).reshape(width, -1))
    levels: npt.NDArray[np.uint8] = np.clip(columns + np.float32(0.5), 0, 255).astype(np.uint8)
    return levels.reshape(RASTER_SIDE, RASTER_SIDE, 3).transpose(1, 0, 2)


def _shorten(lines: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float32]":
    """The means of ``RASTER_SIDE`` equal parts of the lines."""
    return np.concatenate([weights @ lines[part] for part, weights in _weights(len(lines))])


@functools.lru_cache(maxsize=256)
def _weights(length: int) -> "list[tuple[slice, npt.NDArray[np.float32]]]":
    """How much each of ``length`` lines counts in each of ``RASTER_SIDE`` equal parts: for groups of parts, the lines
    that count in one of them, and their weights."""
    edges = np.linspace(0, length, RASTER_SIDE + 1)
    places = np.arange(length)
    overlap = np.clip(np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places), 0, None)
    weights = np.asarray(overlap / overlap.sum(1, keepdims=True), np.float32)
    groups = []
    for start in range(0, RASTER_SIDE, _GROUP):
        some = weights[start : start + _GROUP]
        counted = np.flatnonzero(some.any(0))
        part = slice(int(counted[0]), int(counted[-1]) + 1)
        groups.append((part, np.ascontiguousarray(some[:, part])))
    return groups
