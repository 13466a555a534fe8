"""A thread with an open store of its own, for what asks the service: it may wait for the request limit, and nothing
else waits for it."""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from astica_sync.api.store import Store

T = TypeVar("T")


class ServiceThread:
    """Runs jobs one after the other."""

    def __init__(self, store: Path) -> None:
        self._root = store
        self._thread = ThreadPoolExecutor(1, "service")
        self._stack = contextlib.ExitStack()
        self._store: Store | None = None

    def run(self, job: Callable[[Store], T]) -> "Future[T]":
        """The result of the job; the future raises what it raises, and what opening the store raises."""
        return self._thread.submit(lambda: job(self._open()))

    def close(self) -> None:
        """Waits for the job under way."""
        self._thread.submit(self._stack.close)
        self._thread.shutdown(cancel_futures=False)

    def _open(self) -> Store:
        if self._store is None:
            self._store = self._stack.enter_context(Store(self._root))
        return self._store
