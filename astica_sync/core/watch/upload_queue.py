"""What waits for its upload, and in which order it goes: new files do not wait for a long backlog, nor it for them."""

from collections import deque
from collections.abc import Iterable

from astica_sync.core.plan.plan import Upload

OLD_EVERY = 4
"""Each so many-th place goes to the one that has waited longest."""


class UploadQueue:
    """Uploads from the longest known to the newest, each uid once."""

    def __init__(self) -> None:
        self._line: deque[Upload] = deque()
        self._uids: set[str] = set()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._uids)

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids

    def replace(self, uploads: Iterable[Upload]) -> None:
        """Forgets what waits and begins anew, the oldest first."""
        self._line.clear()
        self._uids.clear()
        self.add(uploads)

    def add(self, uploads: Iterable[Upload]) -> None:
        """Puts newer ones behind; one that waits already keeps its place."""
        for upload in uploads:
            if upload.uid not in self._uids:
                self._uids.add(upload.uid)
                self._line.append(upload)

    def discard(self, uids: Iterable[str]) -> None:
        """Takes some out, wherever they stand."""
        gone = self._uids.intersection(uids)
        if gone:
            self._uids -= gone
            self._line = deque(upload for upload in self._line if upload.uid not in gone)

    def take(self, count: int) -> list[Upload]:
        """The next ones, taken out: mostly the newest, at every fourth place the one that has waited longest."""
        taken: list[Upload] = []
        while self._line and len(taken) < count:
            self._turn = (self._turn + 1) % OLD_EVERY
            upload = self._line.pop() if self._turn else self._line.popleft()
            self._uids.discard(upload.uid)
            taken.append(upload)
        return taken
