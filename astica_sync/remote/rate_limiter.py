"""The rate limiter of one key and one endpoint, shared by all processes of the machine (promise 6).

``astica_sync.core.rate_limit`` decides when a request may start; this file knows which others are under way. Times are
seconds since the machine started, so a corrected wall clock changes nothing and all processes agree. A request of a
killed process counts until its timeout and one window have passed.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from astica_sync.clock import Clock
from astica_sync.core.rate_limit import (
    AT_ONCE,
    Lane,
    RequestTimes,
    announced_limit,
    at_once_after_refusal,
    counts_until,
    forecast,
    next_start,
)
from astica_sync.errors import DatabaseError, Interrupted
from astica_sync.remote.rate_limit_db import RateLimitDb
from astica_sync.secret import Secret

REQUEST_TIMEOUT_SECONDS = 180.0
POLL_SECONDS = 0.5
RAMP_SECONDS = 0.1
"""How soon to ask again while a request finds out whether the service has room again."""
SHORTEST_WAIT = 0.001
FIRST_BACK_OFF = 2.0
LONGEST_BACK_OFF = 60.0
LONGEST_RETRY_AFTER = 3600.0
"""The longest ``Retry-After`` that is obeyed, in seconds: a wrong one must not stop the program for days."""

USUAL_LATENCY = 0.5
WINDOWS_REMEMBERED = 3

_BLOCKS = (
    "(SELECT max(since + seconds) FROM rest WHERE budget = ? AND since <= ?),"
    " (SELECT max(iif(at <= ?, at, 0.0)) FROM loss)"
)
# One statement, because it runs before every request.
_STATE = (
    "SELECT (SELECT count(*) FROM waiting WHERE budget = ? AND lane < ? AND since <= ? AND until > ?),"  # noqa: S608
    " EXISTS (SELECT 1 FROM waiting),"
    f" (SELECT count(*) FROM request WHERE budget = ?), {_BLOCKS}"
)

OnWait = Callable[[float, str], None]
"""Called before each wait with its length in seconds and its reason."""

WAIT_REASON = "the request limit of this key"


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to send one request. ``release`` it in any case; from ``timeout_at`` on it counts as answered."""

    number: int
    lane: Lane
    sent_at: float
    timeout_at: float


@dataclass(frozen=True, slots=True)
class Wait:
    """No request may start for so many seconds, at least; ask again then.

    ``others`` is how many of the requests that count, those of the last ``window`` seconds, this limiter has not sent;
    ``why`` is the reason where it is not the limit.
    """

    seconds: float
    others: int = field(default=0, compare=False)
    window: float = field(default=60.0, compare=False)
    why: str = field(default="", compare=False)

    @property
    def reason(self) -> str:
        """The reason in words."""
        if self.why or not self.others:
            return self.why or WAIT_REASON
        sent = "1 request" if self.others == 1 else f"{self.others:,} requests"
        was = "was" if self.others == 1 else "were"
        span = "minute" if self.window == 60 else f"{self.window:g} s"
        return f"{WAIT_REASON}; {sent} of the last {span} {was} not this command's"


def limiter_name(key: Secret, endpoint: str) -> str:
    """The name under which the requests of one key to one endpoint are counted. It does not reveal the key."""
    return hashlib.blake2s(f"{endpoint}\0{key.reveal()}".encode(), digest_size=16).hexdigest()


class RateLimiter:
    """At most ``limit`` requests in any ``window`` seconds. For any number of threads and processes.

    Every method but ``release`` and ``close`` may raise ``DatabaseError`` when the file cannot be used.
    """

    def __init__(
        self, path: Path, *, name: str, limit: int, window: float, clock: Clock, follows: bool = False
    ) -> None:
        """``follows``: what the service says of its limit holds, whatever ``limit`` is; else only a lower one does."""
        self._follows = follows
        self._name = name
        self.limit: int = limit
        self._window = window
        self._clock = clock
        self._db = RateLimitDb(path, clock.ticks)
        self._own: dict[int, float] = {}
        """When each request of the last windows was allowed, by its number; the oldest first."""

    def take_policy(self, limit: int, window: float) -> None:
        """The service says that it allows ``limit`` requests in ``window`` seconds."""
        self.limit, self._window = announced_limit((self.limit, self._window), (limit, window), self._follows)

    def try_acquire(self, lane: Lane, timeout_s: float = REQUEST_TIMEOUT_SECONDS) -> Permit | Wait:
        """The right to send one request now, or how long to wait at least.

        A caller that has to wait keeps a place before lower lanes until shortly after that time.

        Args:
            timeout_s: seconds until the request has certainly ended.
        """
        return self._db.run(lambda rows: self._try_acquire(rows, lane, timeout_s))

    def acquire(self, lane: Lane, timeout_s: float = REQUEST_TIMEOUT_SECONDS, on_wait: OnWait | None = None) -> Permit:
        """Waits for the right to send one request.

        Raises:
            Interrupted: the clock was asked to stop.
        """
        while True:
            permit = self.try_acquire(lane, timeout_s)
            if isinstance(permit, Permit):
                return permit
            if on_wait is not None:
                on_wait(permit.seconds, permit.reason)
            sleep(self._clock, permit.seconds)

    def extend(self, permit: Permit, timeout_at: float) -> Permit | None:
        """The permit with a later timeout; call it just before the request is sent.

        None when the permit no longer counts, as after a long stop of the process: its place may be taken by now.
        """
        if timeout_at <= permit.timeout_at:
            return permit
        still_counts = self._db.run(
            lambda rows: (
                rows.execute(
                    "UPDATE request SET lost_at = ? WHERE number = ? AND sent = ? AND answered IS NULL AND lost_at > ?",
                    (timeout_at, permit.number, permit.sent_at, self._clock.ticks() - self._window),
                ).rowcount
            )
        )
        return replace(permit, timeout_at=timeout_at) if still_counts else None

    def release(self, permit: Permit, *, sent: bool = True, served: bool = False) -> None:
        """Ends a request; call it when nothing of the request can be under way any more.

        Args:
            sent: False frees the place immediately, since nothing was sent.
            served: the service did not refuse the request for its limit; the next back-off starts short again.
        """
        now = self._clock.ticks()
        try:
            self._db.run(lambda rows: self._release(rows, permit, now, sent, served))
        except DatabaseError:
            # The request then counts until its timeout. That is longer than needed, and safe; its result is not lost.
            return

    def back_off(self, retry_after: float | None = None, sent_at: float | None = None) -> float:
        """Blocks all requests for a while, because the service refused one for its limit.

        Args:
            retry_after: the seconds that the service asked for; without them, twice as long after each refusal.
            sent_at: when the refused request started; several that were under way together count as one refusal.

        Returns:
            The seconds from now in which no request may start.
        """
        return self._db.run(lambda rows: self._back_off(rows, retry_after, sent_at))

    def forecast(self, count: int) -> float:
        """Seconds until so many more requests are answered, if no other process sends any."""
        return self._db.run(lambda rows: self._forecast(rows, count)) if count > 0 else 0.0

    def used(self) -> int:
        """How many requests count now."""
        return self._db.run(self._used)

    def rest(self) -> float:
        """Seconds until requests may start again after a refusal of the service; 0 where none has to wait for that."""
        return self._db.run(self._rest)

    def close(self) -> None:
        self._db.close()

    def _try_acquire(self, rows: sqlite3.Connection, lane: Lane, timeout_s: float) -> Permit | Wait:
        now = self._clock.ticks()
        waiter = (f"{os.getpid()}.{id(self):x}.{threading.get_ident()}", self._name, lane)
        ahead, waiting, recorded, backed_off_until, file_lost_at = rows.execute(
            _STATE, (self._name, lane, now, now, self._name, self._name, now, now)
        ).fetchone()
        blocked = self._blocked_until(backed_off_until, file_lost_at)
        if recorded < self.limit - ahead:
            # Fewer than the limit in any case; reading their times would be slow at a high limit.
            start = max(now, blocked)
        else:
            start = next_start(self._requests(rows, now), self.limit, self._window, now, blocked, ahead)
        if start <= now and self._is_tried_out(rows, now):
            start = now + RAMP_SECONDS
        if start > now:
            # Never so short that adding it to a clock changes nothing.
            seconds = max(SHORTEST_WAIT, min(start - now, POLL_SECONDS) if ahead else start - now)
            if lane is not max(Lane):
                rows.execute(
                    "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?)",
                    (*waiter, now, now + seconds + POLL_SECONDS),
                )
            return Wait(seconds, self._of_others(rows, now), self._window)
        self._forget_old(rows, now)
        if waiting:
            rows.execute(
                "DELETE FROM waiting WHERE (who = ? AND budget = ? AND lane = ?) OR until <= ?", (*waiter, now)
            )
        number = rows.execute(
            "INSERT INTO request (budget, sent, lost_at) VALUES (?, ?, ?)", (self._name, now, now + timeout_s)
        ).lastrowid
        assert number is not None
        self._own[number] = now
        return Permit(number, lane, now, now + timeout_s)

    def _release(self, rows: sqlite3.Connection, permit: Permit, now: float, sent: bool, served: bool) -> None:
        # With the time, because the numbers start again in a file that replaces a lost one.
        identity = (permit.number, permit.sent_at)
        if sent:
            rows.execute(
                "UPDATE request SET answered = ? WHERE number = ? AND sent = ? AND answered IS NULL", (now, *identity)
            )
        else:
            rows.execute("DELETE FROM request WHERE number = ? AND sent = ? AND answered IS NULL", identity)
        if served:
            # It stays for a window, see ``_is_tried_out``.
            rows.execute(
                "UPDATE rest SET refusals = 0, seconds = min(seconds, ? - since) WHERE budget = ? AND since <= ?",
                (now, self._name, permit.sent_at),
            )

    def _is_tried_out(self, rows: sqlite3.Connection, now: float) -> bool:
        """Whether as many requests are under way as may be, within a window after the pause that followed a refusal."""
        row = rows.execute("SELECT since, since + seconds FROM rest WHERE budget = ?", (self._name,)).fetchone()
        if row is None or not row[1] <= now < row[1] + self._window:
            return False
        answered, waited_for = rows.execute(
            "SELECT count(answered), count(*) - count(answered) FROM request"
            " WHERE budget = ? AND sent >= ? AND (answered IS NOT NULL OR lost_at > ?)",
            (self._name, row[0], now),
        ).fetchone()
        return bool(waited_for >= at_once_after_refusal(answered))

    def _back_off(self, rows: sqlite3.Connection, retry_after: float | None, sent_at: float | None) -> float:
        now = self._clock.ticks()
        refusals, until = 0, now
        row = rows.execute("SELECT since, seconds, refusals FROM rest WHERE budget = ?", (self._name,)).fetchone()
        if row is not None and row[0] <= now:
            refusals, until = row[2], max(now, row[0] + row[1])
        if not (refusals and sent_at is not None and sent_at < row[0]):
            refusals += 1
            if not retry_after or retry_after < 1:
                until = max(until, now + min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** min(refusals - 1, 10)))
        if retry_after:
            until = max(until, now + min(retry_after, LONGEST_RETRY_AFTER))
        rows.execute("INSERT OR REPLACE INTO rest VALUES (?, ?, ?, ?)", (self._name, now, until - now, refusals))
        return until - now

    def _forecast(self, rows: sqlite3.Connection, count: int) -> float:
        now = self._clock.ticks()
        latency = rows.execute(
            "SELECT avg(answered - sent) FROM request WHERE budget = ? AND answered <= ?", (self._name, now)
        ).fetchone()[0]
        return forecast(
            self._requests(rows, now),
            count,
            self.limit,
            self._window,
            USUAL_LATENCY if latency is None else latency,
            now,
            self._blocked_until(*rows.execute(f"SELECT {_BLOCKS}", (self._name, now, now)).fetchone()),
            AT_ONCE,
        )

    def _used(self, rows: sqlite3.Connection) -> int:
        now = self._clock.ticks()
        return sum(counts_until(request, self._window, now) > now for request in self._requests(rows, now))

    def _rest(self, rows: sqlite3.Connection) -> float:
        now = self._clock.ticks()
        backed_off_until, _ = rows.execute(f"SELECT {_BLOCKS}", (self._name, now, now)).fetchone()
        return max(0.0, (backed_off_until or 0.0) - now)

    def _requests(self, rows: sqlite3.Connection, now: float) -> list[RequestTimes]:
        """The recorded requests. One from the future was written before the machine last started, so it ended at 0 on
        the current clock at the latest. One from before the start that seems to be of the past counts as such: that is
        later than it was, and safe."""
        recorded = rows.execute("SELECT sent, answered, lost_at FROM request WHERE budget = ?", (self._name,))
        return [_as_of(now, RequestTimes._make(times)) for times in recorded]

    def _of_others(self, rows: sqlite3.Connection, now: float) -> int:
        """How many of the requests that count were allowed by other limiters, in this process or another one."""
        query = "SELECT number, sent, answered, lost_at FROM request WHERE budget = ?"
        return sum(
            # Numbers begin again in a file that replaces a lost one.
            self._own.get(number) != times[0]
            and counts_until(_as_of(now, RequestTimes._make(times)), self._window, now) > now
            for number, *times in rows.execute(query, (self._name,))
        )

    def _blocked_until(self, backed_off_until: float | None, file_lost_at: float | None) -> float:
        """Until when no request may start: the service refused one, or the file was lost. The requests recorded in a
        lost file, those under way included, must be out of every window."""
        return max(backed_off_until or 0.0, 0.0 if file_lost_at is None else file_lost_at + 2 * self._window)

    def _forget_old(self, rows: sqlite3.Connection, now: float) -> None:
        oldest = now - WINDOWS_REMEMBERED * self._window
        rows.execute(
            "DELETE FROM request WHERE budget = ? AND (coalesce(answered, lost_at) < ? OR (sent > ? AND ? > 0))",
            (self._name, oldest, now, oldest),
        )
        while self._own and next(iter(self._own.values())) < oldest - REQUEST_TIMEOUT_SECONDS:
            del self._own[next(iter(self._own))]


def _as_of(now: float, request: RequestTimes) -> RequestTimes:
    """One from the future is of an earlier start of the machine, and has ended by the start of this one."""
    return RequestTimes(0.0, 0.0, 0.0) if request.sent > now or (request.answered or 0.0) > now else request


def sleep(clock: Clock, seconds: float) -> None:
    """Sleeps for so many seconds.

    Raises:
        Interrupted: the clock woke up early, because the user stops the program.
    """
    end = clock.ticks() + seconds
    clock.sleep(seconds)
    if end - clock.ticks() > 0.05:
        raise Interrupted(
            "stopped while waiting for the service", "Finished work is saved. To continue, run the same command again."
        )
