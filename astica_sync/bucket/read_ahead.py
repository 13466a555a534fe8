"""Reads small objects ahead: one at a time, each waits for the way to the bucket and back.

A scan reads the changed files of a folder in the order in which it was listed. Once two in a row were read, the next
ones are asked for in threads, more of them with each.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from astica_sync.bucket.bucket_objects import About, BucketObjects
from astica_sync.local.scan.directory_digest import BUCKETS, BUCKETS_FROM_FILES

_THREADS = 16
_MOST_AHEAD = 32
_MOST_NAMES = 200_000
"""Of larger folders no order is kept."""

_OLDEST_S = 30.0
"""What was read longer ago is read again: the second look before a removal is a look at the bucket."""

_Read = tuple[About, bytes | None]


class ReadAhead:
    """For the thread that has listed the folder; others read without it."""

    def __init__(self, objects: BucketObjects) -> None:
        self._objects = objects
        self._above = ""
        self._listed: Sequence[tuple[str, int]] = ()
        self._order: list[str] = []
        self._places: dict[str, int] = {}
        self._last, self._window = -2, 0
        self._waiting: dict[str, tuple[float, Future[_Read]]] = {}
        self._thread = 0
        self._pool: ThreadPoolExecutor | None = None

    def listed(self, above: str, names: Sequence[tuple[str, int]]) -> None:
        """A folder was listed: the names of its objects and their inodes, by which a scan orders a large folder."""
        self._forget()
        self._thread = threading.get_ident()
        self._above, self._listed = above, names if len(names) <= _MOST_NAMES else ()
        self._order, self._places = [], {}
        self._last, self._window = -2, 0

    def read(self, path: str, most: int) -> _Read:
        """As ``BucketObjects.read``."""
        if threading.get_ident() != self._thread:
            return self._objects.read(path, most)
        since, waiting = self._waiting.pop(path, (0.0, None))
        self._plan(path, most)
        if waiting is None or time.monotonic() - since > _OLDEST_S:
            return self._objects.read(path, most)
        return waiting.result()

    def _plan(self, path: str, most: int) -> None:
        above, _, name = path.rpartition("/")
        if not self._listed or f"{above}/" != self._above:
            return
        if not self._places:
            in_buckets = len(self._listed) >= BUCKETS_FROM_FILES
            ordered = sorted(self._listed, key=lambda one: one[1] % BUCKETS) if in_buckets else self._listed
            self._order = [one for one, _ in ordered]
            self._places = {one: place for place, one in enumerate(self._order)}
        place = self._places.get(name, -2)
        if place != self._last + 1 or place < 0:
            self._window = 0
            self._forget()
        else:
            self._window = min(max(2, self._window * 2), _MOST_AHEAD)
        self._last = place
        for ahead in self._order[place + 1 : place + 1 + self._window]:
            key = f"{self._above}{ahead}"
            if key not in self._waiting and len(self._waiting) < _MOST_AHEAD:
                # Its threads end with the pool itself.
                self._pool = self._pool or ThreadPoolExecutor(_THREADS, "read-ahead")
                self._waiting[key] = time.monotonic(), self._pool.submit(self._objects.read, key, most)

    def _forget(self) -> None:
        for _, future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
