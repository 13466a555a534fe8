"""Lists folders in another process, ahead of the scan."""

from collections import deque

from astica_sync.local.scan.directory_digest import DirectoryListing
from astica_sync.local.scan.parallel.worker_process import FAILURES, WorkerProcess

# One is waiting while another is being listed; with more, the last folders would not go to the process that is free.
_SUBMITTED_AT_MOST = 2


class Prefetcher:
    """The scan takes folders from the end of the queue and the other process from its start, until they meet."""

    def __init__(self, root: str | None = None) -> None:
        """``root`` as for ``FileSystem``.

        Raises:
            OSError: no process can be started.
        """
        self._queue: deque[tuple[str, bytes | None, int]] = deque()
        self._submitted: deque[str] = deque()
        self._listings: dict[str, DirectoryListing] = {}
        self._worker: WorkerProcess | None = WorkerProcess(root)

    def add(self, path: str, digests: bytes | None, seed: int) -> None:
        """Announces a folder that the scan will list before those it has announced earlier."""
        self._queue.append((path, digests, seed))

    def take(self, path: str) -> DirectoryListing | None:
        """The listing of a folder, after a wait if the other process has begun it.

        None where the other process did not begin it (and will not), failed, or the folder changed meanwhile.
        """
        if self._queue and self._queue[-1][0] == path:
            self._queue.pop()
        self.feed()
        while path in self._submitted:
            self._receive()
            self.feed()
        return self._listings.pop(path, None)

    def feed(self) -> None:
        """Receives what is ready and submits what is next; never waits."""
        while self._worker is not None and self._submitted and self._worker.has_result():
            self._receive()
        while self._worker is not None and self._queue and len(self._submitted) < _SUBMITTED_AT_MOST:
            task = self._queue.popleft()
            try:
                self._worker.submit_listing(*task)
            except FAILURES:
                self._give_up()
            else:
                self._submitted.append(task[0])

    def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _receive(self) -> None:
        try:
            listing = self._worker.listing() if self._worker else None
        except FAILURES:
            self._give_up()
            return
        path = self._submitted.popleft()
        if listing is not None:
            self._listings[path] = listing

    def _give_up(self) -> None:
        self._queue.clear()
        self._submitted.clear()
        self.close()
