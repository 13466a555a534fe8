"""Small rasters of images, for comparisons and reports, made in separate processes, see ``worker_pool``."""

import struct
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.recipe import Recipe
from astica_sync.errors import ImageRejected
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import dimensions, sniff
from astica_sync.local.image.prepare.image_as_sent import as_shown
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES, Preparer
from astica_sync.local.image.prepare.usable_formats import usable_recipe
from astica_sync.local.image.worker_pool import SECONDS, WORKER_MEMORY, WORKERS, ImageWorkers, TooSlow, WorkerKilled

REQUEST = struct.Struct("<H?")
"""The side of the raster in pixels, and whether it is a square; otherwise it keeps the shape of the image. The bytes of
the image follow."""
SIZE = struct.Struct("<HH")
"""Width and height of the raster; its pixels follow, three bytes each. The answer is empty for what is no image."""


@dataclass(frozen=True, slots=True)
class Raster:
    """An upright image in rows of pixels, each of three bytes: red, green and blue."""

    width: int
    height: int
    pixels: bytes


class Rasterizer:
    """Makes rasters, for any number of threads. There is none of an image on which a worker ends.

    An image that is converted before it is sent is converted here as well, so that the raster is of what is sent.
    """

    def __init__(
        self,
        recipe: Recipe | None = None,
        *,
        workers: int = WORKERS,
        seconds: float = SECONDS,
        memory: int = WORKER_MEMORY,
    ) -> None:
        """``recipe`` says how images are converted, by default the default recipe; the others as ``ImageWorkers``."""
        self._workers = ImageWorkers(
            "astica_sync.local.image.raster_process", workers=workers, seconds=seconds, memory=memory
        )
        self._preparer = Preparer(usable_recipe(recipe), workers=workers)

    @property
    def recipe(self) -> Recipe:
        """How images are converted."""
        return self._preparer.recipe

    @property
    def workers(self) -> int:
        """How many processes work at the same time."""
        return self._workers.workers

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()
        self._preparer.close()

    def render_file(self, path: Path, side: int, *, square: bool = False) -> Raster | None:
        """As ``render``, for a file; None as well where it cannot be read.

        Raises:
            Unworkable: no worker can be started.
        """
        try:
            _, data, _ = FileSystem().read_small(path, MAX_SOURCE_BYTES)
        except OSError:
            return None
        if data is None:
            return None
        return self.render(data, side, square=square)

    def render(self, data: bytes, side: int, *, square: bool = False) -> Raster | None:
        """The image within ``side`` times ``side`` pixels, or of exactly that size where ``square``; None for what is
        no image that can be decoded.

        Raises:
            Unworkable: no worker can be started.
        """
        try:
            data = as_shown(self._preparer, data)
        except ImageRejected:
            return None
        if sniff(data) is None:
            return None
        width, height = dimensions(data) or (0, 0)
        try:
            answer = self._workers.ask(width * height, REQUEST.pack(side, square), data)
        except (WorkerKilled, TooSlow):
            return None
        if len(answer) < SIZE.size:
            return None
        wide, high = SIZE.unpack_from(answer)
        pixels = answer[SIZE.size :]
        complete = 0 < wide <= side and 0 < high <= side and len(pixels) == 3 * wide * high
        return Raster(wide, high, pixels) if complete else None
