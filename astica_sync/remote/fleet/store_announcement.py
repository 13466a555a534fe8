"""What a process writes of its store to the board: since when it manages its classes, and when it last agreed.

Nothing is kept on this machine for that. The record on the board goes from one process of the store to the next: the
first write of a process takes over the times of the one before.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from astica_sync.core.fleet.store_claim import StoreClaim


class StoreAnnouncement:
    """For any number of threads.

    Args:
        claim: the store and its classes, without times.
        ticks: the time in seconds.
    """

    def __init__(self, claim: StoreClaim, ticks: Callable[[], float]) -> None:
        self._claim = claim
        self._ticks = ticks
        self._lock = threading.Lock()
        self._since = ticks()
        self._agreed_at: float | None = None
        self.follows_earlier: bool = False
        """Whether the times of the process before were looked for."""

    @property
    def name(self) -> str:
        """Under which it is written."""
        return f"store-{self._claim.store_id}"

    def agreed(self) -> None:
        """The store and a view of the model are the same now."""
        with self._lock:
            self._agreed_at = self._ticks()

    def take_over(self, claims: Iterable[StoreClaim]) -> None:
        """Goes on from what the store has announced before."""
        now = self._ticks()
        with self._lock:
            self.follows_earlier = True
            for earlier in claims:
                if self._claim.continues(earlier):
                    self._since = min(self._since, now - earlier.since_now)
                    if self._agreed_at is None and earlier.agreed_ago is not None:
                        self._agreed_at = now - earlier.agreed_ago

    def claim(self) -> StoreClaim:
        """What the store announces now."""
        now = self._ticks()
        with self._lock:
            agreed = None if self._agreed_at is None else max(0.0, now - self._agreed_at)
            return replace(self._claim, since=max(0.0, now - self._since), agreed=agreed)
