"""Work beside the driver: the one place where things happen at the same time.

The driver is single-threaded. It hands out pieces of work and takes their results one by one, so that all its state
and all its writes to the journal belong to one thread, and a simulation can choose the order instead of the machine.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One finished piece of work: its tag, and its value or the exception that ended it."""

    tag: Any
    value: Any = None
    error: BaseException | None = None


class WorkerPool(Protocol):
    """Runs pieces of work in any order."""

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        """Hands out one piece of work."""
        ...

    def next_done(self, timeout: float | None) -> TaskResult | None:
        """The next finished piece, waiting for it at most ``timeout`` seconds; None when none finished in time."""
        ...


class ThreadPool:
    """Workers on threads. Decoding, hashing and the network all leave the interpreter lock alone.

    The threads are daemons, which those of an executor are not: whoever stops the program does not wait for an answer
    that takes minutes. The journal knows what was under way.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[tuple[Callable[[], Any], Any] | None] = queue.SimpleQueue()
        # A short wait at a ``SimpleQueue`` may never end (CPython 3.11); nobody waits at the other for a time.
        self._finished: queue.Queue[TaskResult] = queue.Queue()

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        self._waiting.put((work, tag))
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=f"astica-sync-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def next_done(self, timeout: float | None) -> TaskResult | None:
        try:
            return self._finished.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Lets what was begun go; nothing new begins."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put(None)

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            work, tag = task
            try:
                done = TaskResult(tag, work())
            except BaseException as error:  # noqa: BLE001 - whatever it is, the driver must hear of it
                done = TaskResult(tag, error=error)
            self._finished.put(done)


@contextlib.contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPool]:
    """Workers that end with the block."""
    workers = ThreadPool(threads)
    try:
        yield workers
    finally:
        workers.close()
