"""Who reads the files of a store: the thread that scans, threads beside it, or, once they are many, other processes."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.file_hash import FileHash, hash_file
from astica_sync.local.scan.parallel.worker_process import READ, WorkerProcess, as_readings

MANY = 4000
"""So many files in one scan are worth the start of other processes."""


class PendingHashes(Protocol):
    """What is being read."""

    def result(self) -> list[FileHash]:
        """Waits for it."""
        ...


class HashPool:
    """``threads`` read at once; with none, ``read`` does so itself, in an order that only the store decides. Serves
    one thread."""

    def __init__(self, fs: FileSystem, threads: int, many: int = MANY) -> None:
        self._fs = fs
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "read") if threads else None
        self._many = many
        self._asked = 0
        self._desks: list[_Desk] = []

    def __enter__(self) -> "HashPool":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, paths: Sequence[str]) -> PendingHashes:
        """What stands at each of these paths, in their order."""
        self._asked += len(paths)
        if self._pool is None:
            future: Future[list[FileHash]] = Future()
            future.set_result(self._read_here(paths))
            return future
        if self._asked <= self._many:
            return self._pool.submit(self._read_here, paths)
        # One more thread that waits for a process would only be in the way of this one.
        if not self._desks:
            self._desks = [_Desk() for _ in range(self._threads)]
        return min(self._desks, key=len).hand_over(paths, self._read_here)

    def close(self) -> None:
        """Ends at once what is not being read yet."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        for desk in self._desks:
            desk.close()
        self._desks.clear()

    def _read_here(self, paths: Sequence[str]) -> list[FileHash]:
        return [hash_file(self._fs, path) for path in paths]


class _Desk:
    """One other process, and what it was handed, the oldest first. Another one takes the place of one that is gone."""

    def __init__(self) -> None:
        self._hand: WorkerProcess | None = None
        self._waiting: deque[_Handed] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def hand_over(self, paths: Sequence[str], otherwise: Callable[[Sequence[str]], list[FileHash]]) -> "_Handed":
        handed = _Handed(self, paths, otherwise)
        try:
            self._hand = self._hand or WorkerProcess()
            self._hand.ask(READ, list(paths))
        except (OSError, EOFError, ValueError):
            self.close()
        else:
            self._waiting.append(handed)
        return handed

    def fetch(self) -> bool:
        """Waits for the oldest answer; whether there was one to come."""
        if self._hand is None or not self._waiting:
            return False
        try:
            found = as_readings(self._hand.answer())
        except (OSError, EOFError, ValueError):
            self.close()
            return False
        self._waiting.popleft().found = found
        return True

    def close(self) -> None:
        self._waiting.clear()
        hand, self._hand = self._hand, None
        if hand is not None:
            hand.close()


class _Handed:
    """What one task will come to; who handed it over reads it himself where no answer comes."""

    def __init__(self, desk: _Desk, paths: Sequence[str], otherwise: Callable[[Sequence[str]], list[FileHash]]) -> None:
        self._desk, self._paths, self._otherwise = desk, paths, otherwise
        self.found: list[FileHash] | None = None

    def result(self) -> list[FileHash]:
        while self.found is None and self._desk.fetch():
            pass
        return self._otherwise(self._paths) if self.found is None else self.found
