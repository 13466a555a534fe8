"""Measures one image; the bounded workers open it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astica_sync.errors import ImageRejected
from astica_sync.inspect.measure_pixels import SIDE, measure_pixels
from astica_sync.inspect.measurer import Measurer, Measures
from astica_sync.local.db.detections import hash_bytes
from astica_sync.local.db.image_facts import ImageFacts
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import dimensions, judge_bytes, preparable
from astica_sync.local.image.prepare.image_as_sent import why_not_sent
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES, Preparer
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.local.scan.file_hash import unreadable_reason

CHANGED = "it was changed or removed during the run; inspect again"


@dataclass(frozen=True, slots=True)
class Openers:
    """The bounded processes that open images: the first for sound ones, and the others for what is not known to be."""

    measurer: Measurer
    preparer: Preparer
    decoder: Decoder
    rasterizer: Rasterizer


def measure_image(path: Path, content: str, openers: Openers) -> ImageFacts | str:
    """What is measured of the image in a file as it is sent, or why it cannot be read. ``content`` is what the scan
    found in it.

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
    return measure_bytes(data, openers)


def measure_bytes(data: bytes, openers: Openers) -> ImageFacts:
    """As ``measure_image``, for the bytes of a file.

    Raises:
        Unworkable: no worker can be started.
    """
    reason = None
    try:
        image = openers.preparer.convert(data)
        measures = openers.measurer.measure(image)
        if measures is None and image is data:
            reason = why_not_sent(openers.decoder, openers.preparer, data)
    except ImageRejected as error:
        reason = str(error)
    if reason is not None:
        return _broken(data, reason)
    measures = measures or _measure(image, openers.rasterizer)
    if measures is None:
        return _broken(image, "broken image, it cannot be decoded")
    width, height = dimensions(image) or (0, 0)
    return ImageFacts(width, height, measures.brightness, measures.contrast, measures.sharpness, "", measures.picture)


def _measure(image: bytes, rasterizer: Rasterizer) -> Measures | None:
    raster = rasterizer.render(image, SIDE)
    if raster is None:
        return None
    return measure_pixels(np.frombuffer(raster.pixels, np.uint8).reshape(raster.height, raster.width, 3))


def _broken(data: bytes, reason: str) -> ImageFacts:
    width, height = dimensions(data) or (0, 0)
    return ImageFacts(width, height, 0.0, 0.0, 0.0, reason, b"")
