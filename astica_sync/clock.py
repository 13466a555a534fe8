"""Time as an argument: the driver asks a ``Clock``, so that tests and the simulation can own time."""

import contextlib
import threading
import time
from typing import Protocol

from astica_sync.errors import Interrupted


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


class Stop:
    """A person's word to stop, heard by every thread that waits.

    May be given in a signal handler: the lock of a ``threading.Event`` may be held by the very thread that the signal
    interrupts, which would then wait for itself for ever.
    """

    def __init__(self) -> None:
        self._said = False
        self._held = threading.Lock()
        self._held.acquire()

    def set(self) -> None:
        self._said = True
        # It is free from now on; a second word changes nothing.
        with contextlib.suppress(RuntimeError):
            self._held.release()

    def is_set(self) -> bool:
        return self._said

    def wait(self, seconds: float) -> bool:
        """Whether it was given, within so many seconds."""
        if self._said:
            return True
        heard = self._held.acquire(timeout=max(0.0, seconds))
        if heard:
            # Others may wait for it as well.
            self.set()
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
