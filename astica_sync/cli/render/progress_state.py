"""What a run is doing at this moment, by the facts that it reports, for the live view and for the plain output.

Draws nothing; every time comes from one clock.
"""

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from astica_sync.cli.render.text import countdown, number
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.rate_limit import AT_ONCE
from astica_sync.sync.progress import ProgressListener

RATE_SECONDS = 60.0
FINISHED_FOR = 1.0
"""How many seconds after its end a wait still counts: what follows it is reported a moment later."""
SAME_WAIT = 0.5
MOST_TIMES = 100_000
REFUSED_FOR_LIMIT = "because of its rate limit"
"""How the reason of a wait ends where the service has refused a request for its limit."""
PACE_SECONDS, LEAST_PACE_SECONDS = 30.0, 5.0
"""The pace of the work is that of the last 30 seconds of it, and is known after 5."""
LEAST_DONE = 3
SHORTEST_SHOWN = 2.0
"""How long a step takes at least until its seconds are shown."""


def since(seconds: float) -> str:
    """How long something has taken, where that is worth a word."""
    return f", {countdown(math.floor(seconds))}" if seconds >= SHORTEST_SHOWN else ""


@dataclass(frozen=True, slots=True)
class ActivityWait:
    """Nothing is sent ``until`` then, because of ``why``; ``until_time`` is the same in seconds since the epoch."""

    until: float
    why: str
    until_time: float


class Activity(ProgressListener):
    """The facts of a run, for any number of threads.

    Args:
        ticks: a monotonic clock, in seconds.
        wall: seconds since the epoch, for times of day.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.lock: contextlib.AbstractContextManager[object] = threading.RLock()
        self.ticks = ticks
        self.wall = wall
        self.stopping: Callable[[], bool] = lambda: False
        self.disk_wait: Callable[[], str] = lambda: ""
        """That a disk does not answer, and for how long; "" where all do."""
        self.step: Callable[[float], str] | None = None
        """The text of the step under way, by how many seconds it has taken."""
        self.step_since: float = 0.0
        self.scan: tuple[int, int] | None = None
        self.answers: tuple[int, int] | None = None
        self.wait: ActivityWait | None = None
        self._waiting_thread = 0
        """Which thread reported ``wait``."""
        self.next_at: ActivityWait | None = None
        self._last_wait: ActivityWait | None = None
        self.total: int = 0
        self.done: int = 0
        self.name: str = ""
        self.eta_at: float = 0.0
        self.began_at: float = 0.0
        """When the plan began to be carried out."""
        self._waited: float = 0.0
        self._waits_end: float = 0.0
        """How many seconds of the plan are waits that were reported, and when the last one of these ends."""
        self._paces: deque[tuple[float, int]] = deque()
        """How much was done after how many seconds without these waits, for the last while."""
        self.was_refused: bool = False
        """Whether the service has refused a request for its limit since then: the forecast counts on a higher limit."""
        self.under_way: int = 0
        self.asked_at: float = 0.0
        """When the first of the requests under way left."""
        self.bytes_sent: int = 0
        self._left_at: dict[int, float] = {}
        """When the request of each thread left."""
        self._answered = {True: (0, 0.0), False: (0, 0.0)}
        """How many requests with an image, and without one, were answered, and their seconds together."""
        self._first_alone = False
        self._in_class_removals = 0
        self._sent: deque[float] = deque(maxlen=MOST_TIMES)

    def phase(self, text: str) -> None:
        with self.lock:
            self.scan = self.wait = None
            self.works(lambda seconds: f"{text}{self._counts()}{since(seconds)}")

    def phase_ended(self) -> None:
        with self.lock:
            self.step = self.scan = self.wait = None
            self.changed()

    def scanned(self, compared: int, read: int) -> None:
        with self.lock:
            self.scan = compared, read

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        removed = 0 if refusals else len(plan.removed)
        uploads = len(plan.uploads) + plan.later - sum(len(refusal.uploads) for refusal in refusals)
        with self.lock:
            self.total, self.done, self.name = uploads + removed, 0, ""
            self.began_at = self._waits_end = self.ticks()
            self.eta_at = self.began_at + eta
            self._waited = 0.0
            self._paces.clear()
            self.was_refused = False
            self._first_alone = plan.first_upload_alone
            removed_at_once = [] if refusals else plan.class_removals
            self._in_class_removals = sum(len(entry.samples) for entry in removed_at_once)
            self.wait = self.next_at = None
            self.changed()

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        self._advance(1, path, eta)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        self._advance(samples, path or class_title, eta)

    def failed(self, class_title: str, path: str, reason: str) -> None:
        self._advance(1, path, 0.0)

    def waits(self, seconds: float, why: str) -> None:
        with self.lock:
            self.was_refused |= why.endswith(REFUSED_FOR_LIMIT)
            self.wait = self._waiting(seconds, why)
            self._waiting_thread = threading.get_ident()
            self.changed()

    def next_request(self, seconds: float, why: str) -> None:
        with self.lock:
            self.next_at = self._waiting(seconds, why)
            self.changed()

    def request_sent(self, size: int) -> None:
        with self.lock:
            if not self.under_way:
                self.asked_at = self.ticks()
            self.under_way += 1
            self.next_at = None
            # A request of another thread that got the last place ends no wait of those behind it.
            if self._waiting_thread == threading.get_ident() or self.wait is None or self.ticks() >= self.wait.until:
                self.wait = None
            self._sent.append(self.ticks())
            self._left_at[threading.get_ident()] = self.ticks()
            self.changed()

    def request_ended(self, size: int, *, answered: bool) -> None:
        with self.lock:
            self.under_way = max(0, self.under_way - 1)
            self.bytes_sent += size if answered else 0
            left_at = self._left_at.pop(threading.get_ident(), None)
            if answered and left_at is not None:
                count, seconds = self._answered[size > 0]
                self._answered[size > 0] = count + 1, seconds + self.ticks() - left_at
            self.changed()

    def works(self, text: Callable[[float], str], seconds: float = 0.0) -> None:
        """A step is under way for so many seconds already; ``text`` gives its text by its seconds."""
        with self.lock:
            self.step, self.step_since = text, self.ticks() - seconds
            self.changed()

    def answered(self, done: int, total: int) -> None:
        """So many of all answers of an evaluation are there."""
        with self.lock:
            self.answers = (done, total) if done < total else None
            self.changed()

    def rate(self) -> int:
        """How many requests left in the last minute."""
        with self.lock:
            while self._sent and self._sent[0] <= self.ticks() - RATE_SECONDS:
                self._sent.popleft()
            return len(self._sent)

    def current_wait(self) -> ActivityWait | None:
        """What nothing is sent for; None when nothing waits."""
        now = self.ticks()
        if self.wait is not None and now < self.wait.until + FINISHED_FOR:
            return self.wait
        return self.next_at if self.next_at is not None and now < self.next_at.until + FINISHED_FOR else None

    def further_wait(self) -> ActivityWait | None:
        """What is waited for besides ``current_wait``, for another reason; None where nothing is."""
        first, other = self.current_wait(), self.next_at
        if first is None or other is None or first is other or self.ticks() >= other.until:
            return None
        # A reason may go on with what changes from moment to moment.
        return other if first.why.partition(";")[0] != other.why.partition(";")[0] else None

    def end_by_pace(self, after: float) -> float:
        """When all is done, if it goes on from ``after`` as it went up to then, the waits included; 0 where nothing is
        done yet."""
        left = self.total - self.done
        return after + (after - self.began_at) / self.done * left if self.done else 0.0

    def end_by_work(self) -> float:
        """When all is done at the earliest, if it goes on as in the last while without the waits, for instance where a
        disk is slow; 0 where too little is known."""
        if not self._paces:
            return 0.0
        before, done = self._paces[0]
        seconds, count = self._worked() - before, self.done - done
        if seconds < LEAST_PACE_SECONDS or count < LEAST_DONE:
            return 0.0
        return self.ticks() + seconds / count * (self.total - self.done)

    def end_by_answers(self) -> float:
        """When all is done at the earliest, if each answer takes as long as those of this run did; 0 where nothing is
        known of that. The first upload of a store, and the view that checks it, go before the others."""
        count, seconds = self._answered[True] if self._answered[True][0] else self._answered[False]
        left = self.total - self.done - self._in_class_removals
        if not count or left <= 0:
            return 0.0
        alone = max(0, 2 - self.done) if self._first_alone else 0
        rounds = math.ceil((left - (alone > 1)) / AT_ONCE) + alone
        return self.ticks() + rounds * seconds / count

    def is_busy(self) -> bool:
        """Whether there is anything to show."""
        return bool(
            self.step or self.under_way or self.total or self.answers or self.current_wait() or self.disk_wait()
        )

    def is_working(self) -> bool:
        """Whether something is done or waited for now."""
        return self.is_busy() and (
            not self.total or self.done < self.total or bool(self.step or self.under_way or self.disk_wait())
        )

    def finish(self) -> None:
        """Nothing of what was reported is under way any more."""
        with self.lock:
            self.step = self.scan = self.answers = self.wait = self.next_at = None
            self.total = self.done = self.under_way = 0

    def changed(self) -> None:
        """Something was reported; the caller holds the lock."""

    def _waiting(self, seconds: float, why: str) -> ActivityWait:
        until = self.ticks() + seconds
        self._waited += max(0.0, until - max(self._waits_end, self.ticks()))
        self._waits_end = max(self._waits_end, until)
        before = self._last_wait
        # The same wait, reported again: its end must not jump from one second to the next and back, also where its
        # reason counts what others have sent meanwhile.
        if before is None or abs(before.until - until) > SAME_WAIT:
            self._last_wait = ActivityWait(until, why, self.wall() + seconds)
        elif before.why != why:
            self._last_wait = ActivityWait(before.until, why, before.until_time)
        assert self._last_wait is not None
        return self._last_wait

    def _worked(self) -> float:
        """For how many seconds the plan was carried out, without the waits that were reported."""
        now = self.ticks()
        return now - self.began_at - self._waited + max(0.0, self._waits_end - now)

    def _counts(self) -> str:
        if self.scan is None or not self.scan[0]:
            return ""
        compared, read = self.scan
        return f": {number(compared, 'file')}" + (f", {read:,} read" if read else "")

    def _advance(self, samples: int, name: str, eta: float) -> None:
        with self.lock:
            # Another process may have put more into a class than was planned.
            self.done, self.name = min(self.done + samples, self.total), name
            self._paces.append((self._worked(), self.done))
            while len(self._paces) > LEAST_DONE + 1 and self._paces[1][0] <= self._paces[-1][0] - PACE_SECONDS:
                self._paces.popleft()
            if eta:
                # The removal of a class and a failure tell no time.
                self.eta_at = self.ticks() + eta
            self.changed()
