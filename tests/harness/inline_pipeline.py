"""Stand-ins for what a pipeline works with, without threads and real time."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from astica_sync.core.rate_limit import Lane
from astica_sync.errors import Interrupted
from astica_sync.remote.rate_limiter import Permit, Wait
from astica_sync.sync.apply.thread_pool import TaskResult


class SleepClock:
    """Time passes only in ``sleep``."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.stop_at: float | None = None

    def now(self) -> float:
        return self.time

    ticks = now

    def sleep(self, seconds: float) -> None:
        self.time += max(0.0, seconds)
        if self.stop_at is not None and self.time >= self.stop_at:
            raise Interrupted("stopped")


class InlinePool:
    """Runs one task for each call of ``next_done``; a wait without a task passes the time."""

    def __init__(self, clock: SleepClock) -> None:
        self._clock = clock
        self._waiting: deque[tuple[Callable[[], Any], Any]] = deque()
        self.most = 0

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        self._waiting.append((work, tag))
        self.most = max(self.most, len(self._waiting))

    def next_done(self, timeout: float | None) -> TaskResult | None:
        if not self._waiting:
            self._clock.time += timeout or 0.0
            return None
        work, tag = self._waiting.popleft()
        try:
            return TaskResult(tag, work())
        except BaseException as error:  # noqa: BLE001
            return TaskResult(tag, error=error)


class Permits:
    """Any number of permits, or one every ``pace`` seconds."""

    def __init__(self, clock: SleepClock, pace: float = 0.0) -> None:
        self._clock = clock
        self._pace = pace
        self._free_at = 0.0
        self.granted = 0
        self.refused = 0
        self.returned = 0

    def try_acquire(self, lane: Lane) -> Permit | Wait:
        now = self._clock.time
        if now < self._free_at:
            self.refused += 1
            return Wait(self._free_at - now)
        self._free_at = now + self._pace
        self.granted += 1
        return Permit(self.granted, lane, now, now + 60)

    def release(self, permit: Permit) -> None:
        self.returned += 1


@dataclass
class FakeJob:
    """A job that fails as configured: ``sending`` are the errors of its sendings, None for one that goes well."""

    name: str
    sending: list[BaseException | None] = field(default_factory=list)
    preparing: BaseException | None = None
    admitted: bool = True
    size: int = 1
    sent: int = 0

    def prepare(self) -> None:
        if self.preparing is not None:
            raise self.preparing

    def admit(self) -> bool:
        return self.admitted

    def send(self, permit: Permit) -> None:
        self.sent += 1
        error = self.sending.pop(0) if self.sending else None
        if error is not None:
            raise error


class FakeRecorder:
    """Remembers what the pipeline reports."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.settled: list[tuple[str, BaseException | None]] = []

    def before_send(self, jobs: Sequence[FakeJob]) -> None:
        self.begun += [job.name for job in jobs]

    def settle(self, results: Sequence[tuple[FakeJob, BaseException | None]]) -> None:
        self.settled += [(job.name, error) for job, error in results]
