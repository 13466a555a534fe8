"""Many writers with one API key: the real rate limiter on a simulated clock, and a simulated service with a limit.

    python -m benchmarks.push.many_writers [WRITERS] [SECONDS]

Simulated time advances when all writers wait. They share one rate limiter, as processes of one machine do, or have one
each, as several machines do.
"""

import heapq
import random
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.core.rate_limit import Lane
from astica_sync.remote.rate_limiter import Permit, RateLimiter, Wait

LIMIT, WINDOW = 90, 60.0
LATENCY = (0.2, 2.0)


class Time:
    """A simulated clock."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def ticks(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a simulated writer never sleeps")


class Service:
    """A service with the documented limit."""

    def __init__(self) -> None:
        self._admitted: deque[float] = deque()
        self.served = self.refused = 0

    def take(self, now: float) -> bool:
        while self._admitted and self._admitted[0] + WINDOW <= now:
            self._admitted.popleft()
        if len(self._admitted) >= LIMIT:
            self.refused += 1
            return False
        self._admitted.append(now)
        self.served += 1
        return True


@dataclass(order=True)
class Event:
    """``writer`` asks for a permit, or gets the answer of the request that ``permit`` allowed."""

    at: float
    order: int
    writer: int = field(compare=False)
    permit: Permit | None = field(default=None, compare=False)
    granted: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Outcome:
    """The requests that the service served and refused, and the fewest and the most that one writer got served."""

    served: int
    refused: int
    least: int
    most: int

    def share(self, seconds: float) -> float:
        return self.served / (LIMIT * seconds / WINDOW)


def simulate(writers: int, seconds: float, *, shared: bool, seed: int = 1) -> Outcome:
    """All writers send as fast as their rate limiter allows."""
    dice, time, service = random.Random(seed), Time(), Service()
    with tempfile.TemporaryDirectory() as folder:
        budgets = [
            RateLimiter(
                Path(folder, "shared.db" if shared else f"{number}.db"),
                name="key",
                limit=LIMIT,
                window=WINDOW,
                clock=time,
            )
            for number in range(writers)
        ]
        done = [0] * writers
        end = time.at + seconds
        order = 0
        events = [Event(time.at + dice.random(), number, number) for number in range(writers)]
        heapq.heapify(events)
        while events and events[0].at < end:
            event = heapq.heappop(events)
            time.at = event.at
            order += 1
            budget = budgets[event.writer]
            if event.permit is not None:
                budget.release(event.permit, served=event.granted)
                if event.granted:
                    done[event.writer] += 1
                else:
                    budget.back_off(None, event.permit.sent_at)
            start = budget.try_acquire(Lane.BACKLOG)
            if isinstance(start, Wait):
                # A random delay, so that the writers do not always ask in the same order.
                later = time.at + start.seconds + dice.random() * 0.05
                heapq.heappush(events, Event(later, writers + order, event.writer))
                continue
            answer = time.at + dice.uniform(*LATENCY)
            heapq.heappush(events, Event(answer, writers + order, event.writer, start, service.take(time.at)))
        for budget in budgets:
            budget.close()
    return Outcome(service.served, service.refused, min(done), max(done))


def main() -> None:
    writers = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 600.0
    for shared, name in ((True, "one rate limiter"), (False, "one rate limiter each")):
        found = simulate(writers, seconds, shared=shared)
        print(
            f"{writers} writers, {name}, {seconds:g} s: {found.served} served"
            f" ({100 * found.share(seconds):.1f} % of the limit), {found.refused} refused,"
            f" {found.least} to {found.most} per writer"
        )


if __name__ == "__main__":
    main()
