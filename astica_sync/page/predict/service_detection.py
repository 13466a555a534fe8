"""Runs a version of the service on an image, within the request limit."""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from astica_sync.api.store import Store
from astica_sync.training.detect import DetectionResult


class ServiceDetection:
    """One thread with a store of its own: a detection may wait for the request limit, and nothing else waits for it."""

    def __init__(self, store: Path) -> None:
        self._root = store
        self._thread = ThreadPoolExecutor(1, "detection")
        self._stack = contextlib.ExitStack()
        self._store: Store | None = None

    def run(self, image: bytes, version: str | None) -> "Future[DetectionResult]":
        """The answer of a version, by default the latest, for a PNG or JPEG. The future raises as ``Store.detect``."""
        return self._thread.submit(lambda: self._detect(lambda store: next(store.detect(image, version))))

    def close(self) -> None:
        """Waits for the detection under way."""
        self._thread.submit(self._stack.close)
        self._thread.shutdown(cancel_futures=False)

    def _detect(self, job: Callable[[Store], DetectionResult]) -> DetectionResult:
        if self._store is None:
            self._store = self._stack.enter_context(Store(self._root))
        return job(self._store)
