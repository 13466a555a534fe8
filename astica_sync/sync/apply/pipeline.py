"""Sends requests as fast as the budget allows: prepares a few jobs in advance, records what comes back.

One thread, the driver, runs it. What takes time (reading, checking, the request itself) runs in worker threads.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from astica_sync.clock import Clock
from astica_sync.core.rate_limit import AT_ONCE, Lane
from astica_sync.errors import Interrupted, RateLimited, RemoteError, StoreError, Unreachable
from astica_sync.remote.rate_limiter import SHORTEST_WAIT, WAIT_REASON, OnWait, Permit, Wait
from astica_sync.sync.apply.circuit_breaker import CircuitBreaker
from astica_sync.sync.apply.thread_pool import TaskResult, WorkerPool

AHEAD = 8
IN_FLIGHT = AT_ONCE
THREADS = AHEAD + IN_FLIGHT
BYTES_AT_ONCE = 64 << 20
DRAIN_SECONDS = 10.0
NO_CONNECTION = "the service cannot be reached"


class Vetoed(StoreError):
    """The last check before a request found that it must not be sent."""


VETO = "its file is in the store again, or cannot be read"


class Job(Protocol):
    """One request and what must come before it."""

    @property
    def size(self) -> int:
        """Bytes it holds in memory once it is prepared."""
        ...

    def prepare(self) -> None:
        """In a worker thread: makes everything ready.

        Raises:
            StoreError: the sample cannot be sent.
        """
        ...

    def admit(self) -> bool:
        """On the driver, just before sending: the last check; False fails the job with ``Vetoed``."""
        ...

    def send(self, permit: Permit) -> None:
        """In a worker thread: the request."""
        ...


class Recorder(Protocol):
    """Writes the journal before and after each request."""

    def before_send(self, jobs: Sequence[Any]) -> None:
        """The jobs are sent now; returns when that is durable (promise 5)."""
        ...

    def settle(self, results: Sequence[tuple[Any, BaseException | None]]) -> None:
        """The results of jobs: None is success, ``StoreError`` failed before sending, ``RemoteError`` after.
        Anything else is a fault of the program and ends the run."""
        ...


class PermitSource(Protocol):
    """Where permits come from."""

    def try_acquire(self, lane: Lane) -> Permit | Wait: ...

    def release(self, permit: Permit) -> None: ...


class Pipeline:
    """Runs jobs until they are done, the user stops it, or it makes no sense to continue. ``on_pause`` is called with
    the seconds until the next request may leave, and the reason, when none may leave now; for messages.

    ``error`` is why the last run ended early: an error that stops the run, or ``Interrupted``. ``parked`` counts the
    requests that were still under way then; the journal knows them as attempted.
    """

    def __init__(
        self,
        workers: WorkerPool,
        permits: PermitSource,
        clock: Clock,
        breaker: CircuitBreaker,
        stopping: Callable[[], bool],
        on_pause: OnWait = lambda _seconds, _why: None,
    ) -> None:
        self.clock = clock
        self._workers = workers
        self._permits = permits
        self._breaker = breaker
        self._stopping = stopping
        self._on_pause = on_pause
        self._begin()

    def _begin(self) -> None:
        self.error: BaseException | None = None
        self.parked: int = 0
        self._run = object()
        """Tells the results of this run from those that an earlier one parked."""
        self._ask_at = 0.0
        """There is no permit before, on the clock's ticks."""
        self._why_later: str = WAIT_REASON

    def run(self, jobs: Iterator[Job], lane: Lane, recorder: Recorder) -> BaseException | None:
        """Runs the jobs; returns why it ended early, None when it did not."""
        self._begin()
        ready: deque[Job] = deque()
        preparing = flying = 0
        weight = 0
        exhausted = False
        drained_by: float | None = None
        while True:
            if self.error is None and self._stopping():
                self.error = Interrupted("stopped", "Finished work is saved. To continue: astica-sync push")
            while not (exhausted or self.error) and preparing + len(ready) < AHEAD:
                if weight >= BYTES_AT_ONCE:
                    break
                job = next(jobs, None)
                if job is None:
                    exhausted = True
                    break
                preparing += 1
                weight += job.size
                self._workers.submit(job.prepare, (self._run, "prepared", job))
            batch, timeout, vetoed = self._take(ready, lane, IN_FLIGHT - flying)
            if vetoed:
                weight -= sum(job.size for job in vetoed)
                recorder.settle([(job, Vetoed(VETO, "the next push decides")) for job in vetoed])
            if batch:
                self._launch(batch, recorder)
                flying += len(batch)
            if not (preparing or flying or (ready and not self.error)):
                if exhausted or self.error:
                    return self.error
                continue
            if self.error is not None:
                drained_by = drained_by or self.clock.now() + DRAIN_SECONDS
                timeout = drained_by - self.clock.now()
                if timeout <= 0:
                    self.parked = flying
                    return self.error
            results: list[tuple[Job, BaseException | None]] = []
            for done in self._collect(timeout):
                _, step, job = done.tag
                if step == "prepared":
                    preparing -= 1
                    if done.error is None:
                        ready.append(job)
                        continue
                else:
                    flying -= 1
                    if isinstance(done.error, (RateLimited, Unreachable)) and self._may_repeat(done.error):
                        # Behind the others: a service may refuse this one alone.
                        ready.append(job)
                        results.append((job, done.error))
                        continue
                weight -= job.size
                results.append((job, done.error))
                self._judge(done)
            if results:
                recorder.settle(results)

    def _take(
        self, ready: deque[Job], lane: Lane, places: int
    ) -> tuple[list[tuple[Job, Permit]], float | None, list[Job]]:
        """The jobs to send now, how long until the next may be sent, and those that failed their last check."""
        batch: list[tuple[Job, Permit]] = []
        vetoed: list[Job] = []
        while ready and len(batch) < places and self.error is None:
            pause = self._breaker.pause(self.clock.now())
            if pause > 0:
                self._on_pause(pause, NO_CONNECTION)
                return batch, pause, vetoed
            if (rest := self._ask_at - self.clock.ticks()) > SHORTEST_WAIT:
                # A request that left meanwhile looks like the end of the pause.
                self._on_pause(rest, self._why_later)
                return batch, rest, vetoed
            if not ready[0].admit():
                vetoed.append(ready.popleft())
                continue
            permit = self._permits.try_acquire(lane)
            if isinstance(permit, Wait):
                self._ask_at, self._why_later = self.clock.ticks() + permit.seconds, permit.reason
                self._on_pause(permit.seconds, permit.reason)
                return batch, permit.seconds, vetoed
            batch.append((ready.popleft(), permit))
        return batch, None, vetoed

    def _launch(self, batch: list[tuple[Job, Permit]], recorder: Recorder) -> None:
        try:
            recorder.before_send([job for job, _ in batch])
        except BaseException:
            for _, permit in batch:
                self._permits.release(permit)
            raise
        for job, permit in batch:
            self._workers.submit(_sending(job, permit), (self._run, "sent", job))

    def _collect(self, timeout: float | None) -> Iterator[TaskResult]:
        """Everything that is finished, waiting for the first of it; at most a second, so that a stop is noticed."""
        done = self._workers.next_done(min(timeout, 1.0) if timeout is not None else 1.0)
        while done is not None:
            # What an earlier run has parked comes back late; the journal knows it as attempted.
            if done.tag[0] is self._run:
                yield done
            done = self._workers.next_done(0)

    def _may_repeat(self, error: RemoteError) -> bool:
        """Whether a request that proved to have done nothing is sent again; pauses after a failure of the transport."""
        if self.error is not None:
            return False
        if isinstance(error, RateLimited):
            return not error.stops_run
        self.error = self._breaker.failed(error, self.clock.now())
        return self.error is None

    def _judge(self, done: TaskResult) -> None:
        error = done.error
        if error is None:
            if done.tag[1] == "sent":
                self._breaker.succeeded()
        elif isinstance(error, RemoteError):
            if self.error is None:
                self.error = error if error.stops_run else self._breaker.failed(error, self.clock.now())
        elif not isinstance(error, StoreError) or error.stops_run:
            self.error = self.error or error


def _sending(job: Job, permit: Permit) -> Callable[[], None]:
    return lambda: job.send(permit)
