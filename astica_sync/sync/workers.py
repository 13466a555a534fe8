"""Work beside the driver: the one place where things happen at the same time.

The driver is single-threaded. It hands out pieces of work and takes their results one by one, so that all its state
and all its writes to the journal belong to one thread, and a simulation can choose the order instead of the machine.
"""

import contextlib
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Done:
    """One finished piece of work: its tag, and its value or the exception that ended it."""

    tag: Any
    value: Any = None
    error: BaseException | None = None


class Workers(Protocol):
    """Runs pieces of work in any order."""

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        """Hands out one piece of work."""
        ...

    def next_done(self, timeout: float | None) -> Done | None:
        """The next finished piece, waiting for it at most ``timeout`` seconds; None when none finished in time."""
        ...


class ThreadWorkers:
    """Workers on threads. Decoding, hashing and the network all leave the interpreter lock alone."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="astica-sync")
        self._finished: queue.SimpleQueue[Done] = queue.SimpleQueue()

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        future = self._pool.submit(work)
        future.add_done_callback(lambda finished: self._finished.put(_done(tag, finished)))

    def next_done(self, timeout: float | None) -> Done | None:
        try:
            return self._finished.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Lets what was handed out go; nothing new begins."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _done(tag: Any, future: "Future[Any]") -> Done:
    error = future.exception()
    return Done(tag, error=error) if error is not None else Done(tag, future.result())


@contextlib.contextmanager
def thread_workers(threads: int) -> Iterator[ThreadWorkers]:
    """Workers that end with the block."""
    workers = ThreadWorkers(threads)
    try:
        yield workers
    finally:
        workers.close()
