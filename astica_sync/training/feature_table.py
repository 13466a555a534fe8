"""The features of a store's images, made once for each content."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from astica_sync.core.recipe import Recipe
from astica_sync.local.db.features import FeatureCache
from astica_sync.local.image.rasterizer import Rasterizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from astica_sync.features.descriptor import Floats
    from astica_sync.features.extractor import Extractor

_BATCH = 128


def name_features(extractor: str, recipe: Recipe) -> str:
    """What the cache calls the features that an extractor makes of images which this recipe converts."""
    return f"{extractor} {recipe.look}" if recipe.look else extractor


class FeatureTable:
    """Reads features from the cache and makes those that are missing, images being opened by the bounded workers."""

    def __init__(
        self,
        extractor: "Extractor",
        rasterizer: Rasterizer,
        cache: FeatureCache,
        read: Callable[[str], bytes | None],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """``read`` returns the bytes that have a content hash, from any thread; None where they are gone.
        ``on_progress`` gets the number of images done by one call."""
        self._extractor = extractor
        self._rasterizer = rasterizer
        self._cache = cache
        self._read = read
        self._on_progress = on_progress

    def rows(self, contents: Sequence[str]) -> "tuple[Floats, npt.NDArray[np.bool_]]":
        """The features of images, given by content hash, one row each; and which of them could be decoded. The row of
        another one is zero.

        Raises:
            Unworkable: no worker can be started.
        """
        import numpy as np

        table = np.zeros((len(contents), self._extractor.length), np.float32)
        known = np.zeros(len(contents), np.bool_)
        done = 0
        with ThreadPoolExecutor(self._rasterizer.workers, thread_name_prefix="features") as pool:
            for start in range(0, len(contents), _BATCH):
                batch = contents[start : start + _BATCH]
                rows = self._rows_of(list(dict.fromkeys(batch)), pool)
                for place, content in enumerate(batch, start):
                    row = rows.get(content)
                    if row is not None:
                        table[place], known[place] = row, True
                done += len(batch)
                self._on_progress(done)
        return table, known

    def _rows_of(self, batch: Sequence[str], pool: ThreadPoolExecutor) -> "dict[str, Floats]":
        import numpy as np

        found: dict[str, Floats] = {}
        size = 2 * self._extractor.length
        name = name_features(self._extractor.name, self._rasterizer.recipe)
        for content, row in self._cache.find(name, batch).items():
            values = np.frombuffer(row, np.float16) if len(row) == size else np.full(1, np.nan, np.float16)
            # What a damaged cache has is made again.
            if np.isfinite(values).all():
                found[content] = values.astype(np.float32)
        missing = [content for content in batch if content not in found]
        rasters = pool.map(self._square, missing)
        read = {content: pixels for content, pixels in zip(missing, rasters, strict=True) if pixels is not None}
        if read:
            # Half precision is kept, so that a row from the cache is the row that was made.
            made = self._extractor.extract(np.stack(list(read.values()))).astype(np.float16)
            self._cache.put(name, {content: row.tobytes() for content, row in zip(read, made, strict=True)})
            found.update(zip(read, made.astype(np.float32), strict=True))
        return found

    def _square(self, content: str) -> "npt.NDArray[np.uint8] | None":
        import numpy as np

        side = self._extractor.side
        data = self._read(content)
        raster = None if data is None else self._rasterizer.render(data, side, square=True)
        if raster is None:
            return None
        return np.frombuffer(raster.pixels, np.uint8).reshape(side, side, 3)
