"""Measures one image; the bounded workers open it."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from astica_sync.errors import ImageRejected
from astica_sync.likeness.small_picture import RASTER_SIDE, encode, make_small_picture
from astica_sync.local.db.detections import hash_bytes
from astica_sync.local.db.image_facts import ImageFacts
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import dimensions, judge_bytes, preparable
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.local.scan.file_hash import unreadable_reason

_SIDE = 384
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FINEST = 0.995
_SAMPLED = 16
_BELOW = 0.02


CHANGED = "it was changed or removed during the run; inspect again"


def measure_image(
    path: Path, content: str, rasterizer: Rasterizer, check: Callable[[bytes], bytes]
) -> ImageFacts | str:
    """What is measured of the image in a file as it is sent, or why it cannot be read. ``content`` is what the scan
    found in it; ``check`` returns the image as it is sent, and raises ``ImageRejected`` where it is broken.

    Raises:
        Unworkable: no worker can be started.
    """
    try:
        status, data, _ = FileSystem().read_small(path, MAX_SOURCE_BYTES)
    except FileNotFoundError:
        return CHANGED
    except OSError as error:
        return unreadable_reason(error)
    if data is None or preparable(data) is None:
        reason = judge_bytes(status.st_size)
        if data is None or reason:
            return reason or CHANGED
    if hash_bytes(data) != content:
        # What is measured is kept under the content.
        return CHANGED
    return measure_bytes(data, rasterizer, check)


def measure_bytes(data: bytes, rasterizer: Rasterizer, check: Callable[[bytes], bytes]) -> ImageFacts:
    """As ``measure_image``, for the bytes of a file.

    Raises:
        Unworkable: no worker can be started.
    """
    try:
        image = check(data)
    except ImageRejected as error:
        return _broken(data, str(error))
    raster = rasterizer.render(image, _SIDE)
    if raster is None:
        return _broken(image, "broken image, it cannot be decoded")
    width, height = dimensions(image) or (0, 0)
    pixels = np.frombuffer(raster.pixels, np.uint8).reshape(raster.height, raster.width, 3)
    luma = pixels.astype(np.float32) @ _LUMA
    return ImageFacts(
        width,
        height,
        float(luma.mean()),
        float(luma.std()),
        _sharpness(luma),
        "",
        encode(make_small_picture(_to_square(pixels))),
    )


def _broken(data: bytes, reason: str) -> ImageFacts:
    width, height = dimensions(data) or (0, 0)
    return ImageFacts(width, height, 0.0, 0.0, 0.0, reason, b"")


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
    rows, columns = (_weights(length) for length in pixels.shape[:2])
    planes = [rows @ pixels[..., channel].astype(np.float32) @ columns.T for channel in range(3)]
    return np.clip(np.stack(planes, -1) + 0.5, 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=256)
def _weights(length: int) -> "npt.NDArray[np.float32]":
    """How much each of ``length`` pixels counts in each of ``RASTER_SIDE`` equal parts."""
    edges = np.linspace(0, length, RASTER_SIDE + 1)
    places = np.arange(length)
    overlap = np.clip(np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places), 0, None)
    return np.asarray(overlap / overlap.sum(1, keepdims=True), np.float32)
