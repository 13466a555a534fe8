"""The order of uploads: new files do not wait for a long backlog, and the backlog does not wait for ever for them."""

from collections import deque
from collections.abc import Iterable

from astica_sync.core.plan.plan import Upload

OLDEST_EVERY = 4
"""Every fourth upload is the one that has waited longest."""


class UploadQueue:
    """Uploads from the oldest to the newest, each uid once."""

    def __init__(self) -> None:
        self._queue: deque[Upload] = deque()
        self._uids: set[str] = set()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._uids)

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids

    def replace(self, uploads: Iterable[Upload]) -> None:
        """Replaces the whole queue; the oldest upload comes first."""
        self._queue.clear()
        self._uids.clear()
        self.add(uploads)

    def add(self, uploads: Iterable[Upload]) -> None:
        """Appends newer uploads; one that is queued already keeps its place."""
        for upload in uploads:
            if upload.uid not in self._uids:
                self._uids.add(upload.uid)
                self._queue.append(upload)

    def discard(self, uids: Iterable[str]) -> None:
        """Removes some uploads, wherever they are in the queue."""
        dropped = self._uids.intersection(uids)
        if dropped:
            self._uids -= dropped
            self._queue = deque(upload for upload in self._queue if upload.uid not in dropped)

    def take(self, count: int) -> list[Upload]:
        """Removes and returns the next uploads: the newest, at every fourth place the one that has waited longest."""
        taken: list[Upload] = []
        while self._queue and len(taken) < count:
            self._turn = (self._turn + 1) % OLDEST_EVERY
            upload = self._queue.pop() if self._turn else self._queue.popleft()
            self._uids.discard(upload.uid)
            taken.append(upload)
        return taken
