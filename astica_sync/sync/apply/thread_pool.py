"""Worker threads: the one place where a push does several things at the same time.

One thread, the driver, submits tasks and takes their results one by one. So all its state and all its writes to the
journal belong to one thread, and the simulation can choose the order in which tasks end.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One finished task: its tag, and its value or the exception that ended it."""

    tag: Any
    value: Any = None
    error: BaseException | None = None


class WorkerPool(Protocol):
    """Runs tasks in any order."""

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        """Adds one task."""
        ...

    def next_done(self, timeout: float | None) -> TaskResult | None:
        """The next finished task; waits for it at most ``timeout`` seconds, then returns None."""
        ...


class ThreadPool:
    """Tasks in threads. Decoding, hashing and the network all release the interpreter lock.

    The threads are daemons, which those of an executor are not: the program can stop without waiting for an answer
    that takes minutes. The journal knows what was under way.
    """

    def __init__(self, threads: int) -> None:
        self._size = threads
        self._threads: list[threading.Thread] = []
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], Any] | None] = queue.SimpleQueue()
        # Not a ``SimpleQueue``, whose short waits may never end (CPython 3.11); the other one has no timeout.
        self._finished: queue.Queue[TaskResult] = queue.Queue()

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        self._tasks.put((work, tag))
        if len(self._threads) < self._size:
            thread = threading.Thread(target=self._work, name=f"astica-sync-{len(self._threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if not self._threads:
                    raise
                # This user may start no more threads; those that run do the work.
                self._size = len(self._threads)
                return
            self._threads.append(thread)

    def next_done(self, timeout: float | None) -> TaskResult | None:
        try:
            return self._finished.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Starts no more tasks; does not wait for those that run."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            work, tag = task
            try:
                done = TaskResult(tag, work())
            except BaseException as error:  # noqa: BLE001 - the driver decides about every error
                done = TaskResult(tag, error=error)
            self._finished.put(done)


@contextlib.contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPool]:
    """A pool that ends with the block."""
    workers = ThreadPool(threads)
    try:
        yield workers
    finally:
        workers.close()
