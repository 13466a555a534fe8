"""What waits for its upload, and in which order it goes: new files do not wait for a long backlog, nor it for them."""

from collections import deque
from collections.abc import Container, Iterable
from dataclasses import replace

from astica_sync.core.plan.ordering import uploads_before, uploads_by_content
from astica_sync.core.plan.plan import Plan, Upload

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


def select_uploads(plan: Plan, chosen: Container[str]) -> Plan:
    """The same plan with the uploads in ``chosen`` alone, and without the removals that wait for one of the others."""
    places = uploads_by_content(plan.uploads)

    def ready(uids: Iterable[str]) -> bool:
        return all(uid in chosen for uid in uids)

    return replace(
        plan,
        uploads=tuple(upload for upload in plan.uploads if upload.uid in chosen),
        removals=tuple(removal for removal in plan.removals if ready(uploads_before(removal, places))),
        class_removals=tuple(
            entry
            for entry in plan.class_removals
            if all(ready(uploads_before(removal, places)) for removal in entry.samples)
        ),
    )
