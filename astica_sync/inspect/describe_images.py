"""Makes the features of a store's images, on the workers of a cluster where there are some."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from astica_sync.executor.file_work import FileExecutor, FileWork
from astica_sync.features.descriptor import Floats
from astica_sync.features.extractor import Extractor, load_extractor
from astica_sync.inspect.work_on_worker import describe_shard, read_content
from astica_sync.local.db.features import FeatureCache
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.training.feature_table import FeatureTable, name_features

_BATCH = 512


@dataclass(frozen=True, slots=True)
class ImageDescriber:
    """Makes the features of images and keeps them."""

    cache: FeatureCache
    rasterizer: Rasterizer
    executor: FileExecutor

    def rows(self, files: dict[str, Path], on_progress: Callable[[int], None]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """As ``FeatureTable.rows``, for images by content."""
        extractor = load_extractor()
        if self.executor.has_workers:
            self._let_workers_fill(extractor, files, on_progress)

        def read(content: str) -> bytes | None:
            try:
                return FileSystem().read_small(files[content], MAX_SOURCE_BYTES)[1]
            except OSError:
                return None

        return FeatureTable(extractor, self.rasterizer, self.cache, read, on_progress).rows(list(files))

    def _let_workers_fill(
        self, extractor: Extractor, files: dict[str, Path], on_progress: Callable[[int], None]
    ) -> None:
        """What no worker has made is made by the table."""
        recipe = self.rasterizer.recipe
        name = name_features(extractor.name, recipe)
        missing = dict(files)
        contents = list(files)
        for start in range(0, len(contents), _BATCH):
            for content in self.cache.find(name, contents[start : start + _BATCH]):
                del missing[content]
        known = len(files) - len(missing)
        work: FileWork[bytes] = FileWork(
            partial(describe_shard, extractor_name=extractor.name, recipe=recipe),
            lambda content, path: read_content(path, content),
        )
        made: dict[str, bytes] = {}
        with contextlib.closing(self.executor.run(work, missing)) as results:
            try:
                for done, (content, row) in enumerate(results, known + 1):
                    made[content] = row
                    on_progress(done)
                    if len(made) == _BATCH:
                        self.cache.put(name, made)
                        made.clear()
            finally:
                self.cache.put(name, made)
