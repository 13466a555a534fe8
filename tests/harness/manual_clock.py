"""Time for tests: it moves only by a sleep or by the test."""

from collections.abc import Callable


class HandClock:
    """A clock moved by hand. ``on_sleep`` is called in the middle of each sleep, to let something happen meanwhile."""

    def __init__(self, ticks: float = 10_000.0) -> None:
        self.time = ticks
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self.stopped = False

    def now(self) -> float:
        return 1_700_000_000.0 + self.time

    def ticks(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()
        if not self.stopped:
            self.time += seconds
