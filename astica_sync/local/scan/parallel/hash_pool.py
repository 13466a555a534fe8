"""Hashes files in threads, and in other processes once they are many."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.file_hash import FileHash
from astica_sync.local.scan.parallel.worker_process import FAILURES, WorkerProcess
from astica_sync.local.scan.scan_workers import PendingHashes, hash_files

MANY = 4000
"""So many files in one scan are worth the start of other processes."""


class HashPool:
    """Hashes files in ``threads`` threads or processes, for one thread that asks."""

    def __init__(self, files: FileSystem, threads: int, many: int = MANY) -> None:
        self._files = files
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "hash")
        self._many = many
        self._submitted = 0
        self._queues: list[_WorkerQueue] = []

    def __enter__(self) -> "HashPool":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def hash(self, paths: Sequence[str]) -> PendingHashes:
        """The hashes of the files at these paths, in their order."""
        self._submitted += len(paths)
        if self._submitted <= self._many:
            return self._pool.submit(hash_files, self._files, paths)
        # A thread that waits for a process would only compete with this one, so there is none.
        if not self._queues:
            self._queues = [_WorkerQueue(self._files.root) for _ in range(self._threads)]
        return min(self._queues, key=len).submit(paths, lambda paths: hash_files(self._files, paths))

    def close(self) -> None:
        """Cancels what is not being hashed yet."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for queue in self._queues:
            queue.close()
        self._queues.clear()


class _WorkerQueue:
    """One other process and its tasks without result, the oldest first. A process that has ended is replaced."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._worker: WorkerProcess | None = None
        self._pending: deque[_PendingTask] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    def submit(self, paths: Sequence[str], fallback: Callable[[Sequence[str]], list[FileHash]]) -> "_PendingTask":
        task = _PendingTask(self, paths, fallback)
        try:
            self._worker = self._worker or WorkerProcess(self._root)
            self._worker.submit_hashing(list(paths))
        except FAILURES:
            self.close()
        else:
            self._pending.append(task)
        return task

    def receive(self) -> bool:
        """Waits for the oldest result. Returns False where none will come."""
        if self._worker is None or not self._pending:
            return False
        try:
            hashes = self._worker.hashes()
        except FAILURES:
            self.close()
            return False
        self._pending.popleft().hashes = hashes
        return True

    def close(self) -> None:
        self._pending.clear()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()


class _PendingTask:
    """The future result of one task; ``fallback`` hashes in this process where no result comes."""

    def __init__(
        self, queue: _WorkerQueue, paths: Sequence[str], fallback: Callable[[Sequence[str]], list[FileHash]]
    ) -> None:
        self._queue, self._paths, self._fallback = queue, paths, fallback
        self.hashes: list[FileHash] | None = None

    def result(self) -> list[FileHash]:
        while self.hashes is None and self._queue.receive():
            pass
        return self._fallback(self._paths) if self.hashes is None else self.hashes
