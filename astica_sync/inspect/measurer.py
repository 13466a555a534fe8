"""Measures sound images in separate processes, see ``worker_pool``."""

import struct
from typing import NamedTuple

from astica_sync.local.image.format import dimensions, exceeds_limits
from astica_sync.local.image.worker_pool import (
    HEAVY_PIXELS,
    SECONDS,
    WORKER_MEMORY,
    WORKERS,
    ImageWorkers,
    TooSlow,
    WorkerKilled,
)

HEAD = struct.Struct("<ddd")
"""Brightness, contrast and sharpness; the picture follows. The answer is empty where nothing is known."""


class Measures(NamedTuple):
    """What the pixels of an image tell, see ``ImageFacts``."""

    brightness: float
    contrast: float
    sharpness: float
    picture: bytes


class Measurer:
    """Checks and measures images in a few worker processes, for any number of threads, in one go for each image."""

    def __init__(self, *, workers: int = WORKERS, seconds: float = SECONDS, memory: int = WORKER_MEMORY) -> None:
        """As ``ImageWorkers``."""
        self._workers = ImageWorkers(
            "astica_sync.inspect.measure_process", workers=workers, seconds=seconds, memory=memory
        )

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()

    def measure(self, data: bytes) -> Measures | None:
        """What is measured of a PNG or JPEG as it is sent; None where it takes a ``Decoder`` to tell whether it is
        sound, and a ``Rasterizer`` to open it.

        Raises:
            Unworkable: no worker can be started.
        """
        sides = dimensions(data)
        # One of many pixels may take the time that each of the two has.
        if sides is None or exceeds_limits(len(data), sides) or sides[0] * sides[1] > HEAVY_PIXELS:
            return None
        try:
            answer = self._workers.ask(sides[0] * sides[1], data)
        except (WorkerKilled, TooSlow):
            return None
        if len(answer) <= HEAD.size:
            return None
        brightness, contrast, sharpness = HEAD.unpack_from(answer)
        return Measures(brightness, contrast, sharpness, answer[HEAD.size :])
