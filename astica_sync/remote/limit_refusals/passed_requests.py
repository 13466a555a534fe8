"""How many requests the service answers in one window without refusing one."""

import threading
from collections import deque
from collections.abc import Callable

OnPassed = Callable[[int, float], None]
"""Called with how many passed in one window, and how many seconds ago the first of them was answered."""


class PassedRequests:
    """Counts the requests of this process, and reports the most in one window: at the end, and once in a window where
    it has grown. For any number of threads."""

    def __init__(self, window: float, ticks: Callable[[], float], on_passed: OnPassed) -> None:
        """``window`` in seconds, ``ticks`` a clock that cannot be set."""
        self._window = window
        self._ticks = ticks
        self._on_passed = on_passed
        self._lock = threading.Lock()
        self._answered: deque[float] = deque()
        self._most = (0, 0.0)
        """The most since the last refusal, and when the first of them was answered."""
        self._reported = 0
        self._reported_at = ticks()

    def add(self) -> None:
        """One is answered, and not refused."""
        now = self._ticks()
        with self._lock:
            self._answered.append(now)
            while self._answered[0] <= now - self._window:
                self._answered.popleft()
            self._most = max(self._most, (len(self._answered), self._answered[0]))
            due = self._most[0] > self._reported and now >= self._reported_at + self._window
        if due:
            self.report()

    def forget(self) -> None:
        """One was refused: what passed before says nothing of what passes later."""
        with self._lock:
            self._answered.clear()
            self._most, self._reported = (0, 0.0), 0

    def report(self) -> None:
        """Reports the most, if it has grown since the last report."""
        now = self._ticks()
        with self._lock:
            (most, first), known = self._most, self._reported
            self._reported, self._reported_at = most, now
        if most > known:
            self._on_passed(most, now - first)
