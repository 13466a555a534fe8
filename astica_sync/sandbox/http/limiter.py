"""The request limit of the sandbox."""

import threading
from collections import deque


class SlidingWindow:
    """A sliding window: at most ``limit`` requests in any ``window`` seconds; refused requests do not count."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self._admitted: deque[float] = deque()
        self._lock = threading.Lock()

    def admit(self, now: float) -> float:
        """0 when a request is admitted now (it is counted), else the seconds until the next place is free."""
        with self._lock:
            while self._admitted and self._admitted[0] + self.window <= now:
                self._admitted.popleft()
            if len(self._admitted) < self.limit:
                self._admitted.append(now)
                return 0.0
            return self._admitted[-self.limit] + self.window - now
