"""The process in which images are checked and measured: ``python -m astica_sync.inspect.measure_process MEMORY
SECONDS``.

As ``decoder_process`` it reads only its standard input, writes no file, has no secrets, and is bounded in memory and in
processor time. It answers for images in which there is nothing to find; the others go through ``Decoder`` and
``Rasterizer``, which tell what it is.
"""

import importlib
import os

from astica_sync.inspect.measurer import HEAD
from astica_sync.local.image.worker_process import run


def answer(data: bytes) -> bytes:
    """What is measured of the image, see ``measurer``; empty where it is not known that it is sound."""
    # Imported here, so that the process sets them up first; see main().
    import numpy as np

    from astica_sync.inspect.measure_pixels import SIDE, measure_pixels
    from astica_sync.local.image.check_and_render import check_and_render

    image = check_and_render(data, SIDE)
    if image is None:
        return b""
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, 3)
    *levels, picture = measure_pixels(pixels)
    return HEAD.pack(*levels) + picture


def keep_freed_memory() -> None:
    """Keeps arrays of a few megabytes for the next image: as soon as a block of 16 MB was freed, the C library of Linux
    returns none that are smaller to the system, which would have to clear their pages for each image again."""
    import numpy as np

    np.empty(16 << 20, np.uint8)


def main() -> None:
    # numpy would reserve memory for a thread on each core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Blocks of 16 MB that Pillow keeps from one image for the next, for which it asks the system again otherwise.
    os.environ["PILLOW_BLOCKS_MAX"] = "2"
    # Before the limit on memory, which the imports would reach.
    for name in ("astica_sync.inspect.measure_pixels", "astica_sync.local.image.check_and_render"):
        importlib.import_module(name)
    from astica_sync.local.image.raster_process import lift_limits

    lift_limits()
    keep_freed_memory()
    run(answer)


if __name__ == "__main__":
    main()
