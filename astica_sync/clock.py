"""Time as an argument: what needs it takes a ``Clock``, so that tests and the simulation control time."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Protocol

from astica_sync.errors import Interrupted

CHECK_EVERY = 0.25
_YEAR_10000 = 253_402_214_400


def local_time(at: float, *, seconds: bool = False) -> str:
    """Seconds since the epoch as a date and time in this machine's time zone: ``2026-11-28 09:05``; "unknown" where
    there is no such date, and for 0, which stands for none."""
    if not 0 < at < _YEAR_10000:
        return "unknown"
    return time.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M", time.localtime(at))


def duration(seconds: float) -> str:
    """A duration in round figures: ``under a second``, ``40 s``, ``12 min``, ``3 h 5 min``, ``2 d 4 h``."""
    if seconds < 1:
        return "under a second"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


class Clock(Protocol):
    """The current time, and waiting."""

    def now(self) -> float:
        """Seconds since the epoch; never jumps and never goes back while the process lives."""
        ...

    def ticks(self) -> float:
        """Seconds since the machine started, the same in all its processes."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits.

        Raises:
            Interrupted: the process was asked to stop, before or during the wait.
        """
        ...


class Wake:
    """Wakes one waiting thread; ``ring`` may be called from any thread and from a signal handler.

    A ``threading.Event`` does not serve: the thread that a signal interrupts may hold its lock, and the handler would
    then wait for itself for ever. Nor does a ``queue.SimpleQueue``, which may wait for ever when a short wait ends
    before it began (CPython 3.11).
    """

    def __init__(self) -> None:
        # Locked until ``ring`` is called.
        self._locked = threading.Lock()
        self._locked.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._locked.release()

    def wait(self, seconds: float) -> bool:
        """Whether ``ring`` was called within so many seconds, or since the last wait."""
        return self._locked.acquire(timeout=max(0.0, seconds))


class Stop:
    """A request to stop, which wakes every waiting thread; ``set`` may be called in a signal handler."""

    def __init__(self) -> None:
        self._requested = False
        self._wake = Wake()

    def set(self) -> None:
        self._requested = True
        self._wake.ring()

    def is_set(self) -> bool:
        return self._requested

    def wait(self, seconds: float) -> bool:
        """Whether it was set within so many seconds."""
        requested = self._requested or self._wake.wait(seconds)
        if requested:
            # Other threads may wait for it as well.
            self._wake.ring()
        return requested


class SystemClock:
    """The machine's clock. The wall clock is read once, so that setting it cannot shorten a quarantine or a window of
    the request budget.

    Time in suspend does not count as time passed, so every wait errs on the long side.
    """

    def __init__(self) -> None:
        self._anchor = time.time() - time.monotonic()
        self.stopping: Stop = Stop()
        self.check: Callable[[], None] | None = None
        """Called several times a second during each wait; an error that it raises ends the wait."""

    def now(self) -> float:
        return self._anchor + time.monotonic()

    def ticks(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            left = max(0.0, end - time.monotonic())
            if self.check is not None:
                self.check()
                left = min(left, CHECK_EVERY)
            if self.stopping.wait(left):
                raise Interrupted("stopped", "Finished work is saved. To continue, run the same command again.")
            if time.monotonic() >= end:
                return
