"""Progress as plain lines of text, for a callback or a notebook: ``Store(path, progress=print)``."""

import contextlib
import math
import threading
import time
import warnings
from collections.abc import Callable

from astica_sync.clock import duration
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.sync.progress import ProgressListener
from astica_sync.training.evaluation.html_names import plain_text

EVERY = 2.0
"""Counts are written so often at most, in seconds."""
SHORTEST_WAIT = 2.0
"""Shorter waits are not written, in seconds."""


class ProgressLines(ProgressListener):
    """Writes what a run does. Several threads may report; the lines are written one at a time.

    A callback that fails is not called again, and the run goes on: a warning says so.
    """

    def __init__(self, write: Callable[[str], object], *, ticks: Callable[[], float] = time.monotonic) -> None:
        """``write`` gets each line, without its end; ``ticks`` is a monotonic clock in seconds."""
        self._write: Callable[[str], object] | None = write
        self._ticks = ticks
        self._lock = threading.RLock()
        self._total = self._done = 0
        self._next_count = -math.inf
        self._waits_until = -math.inf
        self._phase = ""
        self._unsaid = ""
        """The last count that was too early for a line."""

    def phase(self, text: str) -> None:
        with self._lock:
            if text != self._phase:
                self._phase = text
                self._line(text)
                # A short step needs no count.
                self._next_count = self._ticks() + EVERY

    def scanned(self, compared: int, read: int) -> None:
        if compared:
            files = "1 file" if compared == 1 else f"{compared:,} files"
            self._count(f"{files} compared, {read:,} read")

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        with self._lock:
            uploads = len(plan.uploads) + plan.later
            removals = 0 if refusals else len(plan.removed)
            self._total, self._done = uploads + removals, 0
            if self._total:
                takes = f", about {duration(eta)}" if eta >= 1 else ""
                self._line(f"to upload: {uploads:,}, to remove: {removals:,}{takes}")

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        self._step(1, eta)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        self._step(samples, eta)

    def failed(self, class_title: str, path: str, reason: str) -> None:
        self._line(f"{path or class_title}: {reason}")

    def waits(self, seconds: float, why: str) -> None:
        with self._lock:
            now = self._ticks()
            # Many threads wait for the same.
            if seconds >= SHORTEST_WAIT and now >= self._waits_until:
                self._waits_until = now + seconds
                if self._unsaid:
                    self._line(self._unsaid)
                self._line(f"waiting {duration(seconds)}: {why}")

    def next_request(self, seconds: float, why: str) -> None:
        self.waits(seconds, why)

    def asks(self, text: str) -> None:
        self._line(text)

    def note(self, text: str) -> None:
        self._line(text)

    def _step(self, samples: int, eta: float) -> None:
        with self._lock:
            self._done += samples
            left = f", about {duration(eta)} left" if eta >= 1 else ""
            text = f"{self._done:,} of {self._total:,} done{left}"
            if self._done >= self._total:
                self._line(text)
            else:
                self._count(text)

    def _count(self, text: str) -> None:
        with self._lock:
            now = self._ticks()
            if now >= self._next_count:
                self._next_count = now + EVERY
                self._line(text)
            else:
                self._unsaid = text

    def _line(self, text: str) -> None:
        with self._lock:
            self._unsaid = ""
            if self._write is None:
                return
            try:
                self._write(plain_text(text))
            except Exception as error:  # noqa: BLE001 - a push does not depend on its callback
                self._write = None
                with contextlib.suppress(Warning):
                    said = f"progress is not reported any more, as the callback failed: {error!r}"
                    warnings.warn(said, RuntimeWarning, stacklevel=2)
