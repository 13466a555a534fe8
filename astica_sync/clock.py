"""Time as an argument: the driver asks a ``Clock``, so that tests and the simulation can own time."""

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


class SystemClock:
    """The machine's clock, anchored once: a corrected wall clock cannot shorten a quarantine or a budget window.

    Time spent in suspend does not count as time passed, so that every wait errs on the long side.
    """

    def __init__(self) -> None:
        self._anchor = time.time() - time.monotonic()
        self.stopping = threading.Event()

    def now(self) -> float:
        return self._anchor + time.monotonic()

    def ticks(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stopping.wait(max(0.0, seconds)):
            raise Interrupted("stopped", "What was done is saved; the same command goes on from there.")
