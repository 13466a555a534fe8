"""Time as an argument: the driver asks a ``Clock``, so that tests and the simulation can own time."""

import contextlib
import threading
import time
from typing import Protocol

from astica_sync.errors import Interrupted


def local_time(at: float, *, seconds: bool = False) -> str:
    """Seconds since the epoch as a date and time in this machine's time zone: ``2026-11-28 09:05``."""
    return time.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M", time.localtime(at))


class Clock(Protocol):
    """What the driver needs of time."""

    def now(self) -> float:
        """Seconds since the epoch; never jumps and never goes back while the process lives."""
        ...

    def ticks(self) -> float:
        """Seconds since the machine started, the same in all its processes."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits.

        Raises:
            Interrupted: the process is asked to stop, before or meanwhile.
        """
        ...


class Wake:
    """Wakes one thread that waits; may be rung from any thread and from a signal handler.

    The lock of a ``threading.Event`` may be held by the very thread that a signal interrupts, whose handler would then
    wait for itself for ever; and a ``queue.SimpleQueue`` may wait for ever when a short wait is over before it began
    (CPython 3.11).
    """

    def __init__(self) -> None:
        # Held while nobody has rung.
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._silence.release()

    def wait(self, seconds: float) -> bool:
        """Whether it was rung within so many seconds, or since the last wait."""
        return self._silence.acquire(timeout=max(0.0, seconds))


class Stop:
    """A person's word to stop, heard by every thread that waits; may be given in a signal handler."""

    def __init__(self) -> None:
        self._said = False
        self._wake = Wake()

    def set(self) -> None:
        self._said = True
        self._wake.ring()

    def is_set(self) -> bool:
        return self._said

    def wait(self, seconds: float) -> bool:
        """Whether it was given, within so many seconds."""
        heard = self._said or self._wake.wait(seconds)
        if heard:
            # Others may wait for it as well.
            self._wake.ring()
        return heard


class SystemClock:
    """The machine's clock, anchored once: a corrected wall clock cannot shorten a quarantine or a budget window.

    Time spent in suspend does not count as time passed, so that every wait errs on the long side.
    """

    def __init__(self) -> None:
        self._anchor = time.time() - time.monotonic()
        self.stopping = Stop()

    def now(self) -> float:
        return self._anchor + time.monotonic()

    def ticks(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise Interrupted("stopped", "What was done is saved; the same command goes on from there.")
