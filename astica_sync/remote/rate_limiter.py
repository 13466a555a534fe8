"""The request budget of one key and one endpoint, shared by all processes of the machine (promise 6).

``astica_sync.core.rate_limit`` decides when a request may start; here stands who else is under way. Times are seconds
since the machine started, so a corrected wall clock changes nothing and all processes agree. What a killed process had
under way counts until its time-out and one window have passed.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from astica_sync.clock import Clock
from astica_sync.core.rate_limit import Lane, Span, counts_until, forecast, next_start
from astica_sync.errors import DatabaseError, Interrupted
from astica_sync.remote.rate_limit_db import RateLimitDb
from astica_sync.secret import Secret

IN_FLIGHT_SECONDS = 180.0
POLL_SECONDS = 0.5
SHORTEST_WAIT = 0.001
FIRST_REST = 2.0
LONGEST_REST = 60.0
LONGEST_RETRY_AFTER = 3600.0
"""The most that is honoured of a ``Retry-After``: a broken one must not stop the program for days."""

USUAL_LATENCY = 0.5
KEPT_WINDOWS = 3

_RESTS = (
    "(SELECT max(since + seconds) FROM rest WHERE budget = ? AND since <= ?),"
    " (SELECT max(iif(at <= ?, at, 0.0)) FROM loss)"
)
# In one statement: this is asked before every request.
_STATE = (
    "SELECT (SELECT count(*) FROM waiting WHERE budget = ? AND lane < ? AND since <= ? AND until > ?),"  # noqa: S608
    " EXISTS (SELECT 1 FROM waiting),"
    f" (SELECT count(*) FROM request WHERE budget = ?), {_RESTS}"
)

OnWait = Callable[[float, str], None]
"""Told before each wait: its seconds, and why."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to send one request; ``release`` it in any case. From ``lost_at`` on the budget takes it for lost."""

    number: int
    lane: Lane
    sent_at: float
    lost_at: float


@dataclass(frozen=True, slots=True)
class Wait:
    """No request may start for so many seconds, at least; ask again then."""

    seconds: float


def limiter_name(key: Secret, endpoint: str) -> str:
    """What the requests of one key to one endpoint are counted under. The key cannot be read from it."""
    return hashlib.blake2s(f"{endpoint}\0{key.reveal()}".encode(), digest_size=16).hexdigest()


class RateLimiter:
    """At most ``limit`` requests in any ``window`` seconds. For any number of threads and processes.

    Every method may raise ``DatabaseError`` when the file cannot be used, ``release`` and ``close`` apart.
    """

    def __init__(self, path: Path, *, name: str, limit: int, window: float, clock: Clock) -> None:
        self._name = name
        self.limit = limit
        self._window = window
        self._clock = clock
        self._ledger = RateLimitDb(path, clock.ticks)

    def try_acquire(self, lane: Lane, timeout_s: float = IN_FLIGHT_SECONDS) -> Permit | Wait:
        """The right to send one request now, or how long to wait at least. Who has to wait keeps a place against
        lower lanes until a moment after that time.

        Args:
            timeout_s: from now until the request has surely ended.
        """
        return self._ledger.run(lambda rows: self._try_acquire(rows, lane, timeout_s))

    def acquire(self, lane: Lane, timeout_s: float = IN_FLIGHT_SECONDS, on_wait: OnWait | None = None) -> Permit:
        """Waits for the right to send one request.

        Raises:
            Interrupted: the clock was asked to stop.
        """
        while True:
            found = self.try_acquire(lane, timeout_s)
            if isinstance(found, Permit):
                return found
            if on_wait is not None:
                on_wait(found.seconds, "the service's limit of requests")
            wait(self._clock, found.seconds)

    def extend(self, permit: Permit, lost_at: float) -> Permit | None:
        """The permit for a request that may take longer than was thought; to be called just before it is sent.

        None when it counts no more, as after a long stop of the process: its place may be another's by now.
        """
        if lost_at <= permit.lost_at:
            return permit
        still_counts = self._ledger.run(
            lambda rows: (
                rows.execute(
                    "UPDATE request SET lost_at = ? WHERE number = ? AND sent = ? AND answered IS NULL AND lost_at > ?",
                    (lost_at, permit.number, permit.sent_at, self._clock.ticks() - self._window),
                ).rowcount
            )
        )
        return replace(permit, lost_at=lost_at) if still_counts else None

    def release(self, permit: Permit, *, sent: bool = True, served: bool = False) -> None:
        """Ends a request, once it is certain that nothing of it is under way any more.

        Args:
            sent: False gives the place back, since nothing left the machine.
            served: the service did not refuse it for the limit, which ends the growing of rests.
        """
        now = self._clock.ticks()
        try:
            self._ledger.run(lambda rows: self._release(rows, permit, now, sent, served))
        except DatabaseError:
            # It then counts until its time-out: too long, which is safe, and no reason to lose the request's result.
            return

    def back_off(self, retry_after: float | None = None, sent_at: float | None = None) -> float:
        """The service refused a request for its limit: all rest. Without its word, twice as long at each refusal.

        Args:
            retry_after: the service's word in seconds.
            sent_at: when the refused request started; several that were under way together count as one refusal.

        Returns:
            The seconds of rest from now.
        """
        return self._ledger.run(lambda rows: self._back_off(rows, retry_after, sent_at))

    def forecast(self, count: int) -> float:
        """Seconds until so many more requests will have been answered, if nobody else sends any."""
        return self._ledger.run(lambda rows: self._forecast(rows, count)) if count > 0 else 0.0

    def used(self) -> int:
        """How many requests count at this moment."""
        return self._ledger.run(self._used)

    def close(self) -> None:
        self._ledger.close()

    def _try_acquire(self, rows: sqlite3.Connection, lane: Lane, timeout_s: float) -> Permit | Wait:
        now = self._clock.ticks()
        who = (f"{os.getpid()}.{id(self):x}.{threading.get_ident()}", self._name, lane)
        ahead, waiting, known, rest, lost = rows.execute(
            _STATE, (self._name, lane, now, now, self._name, self._name, now, now)
        ).fetchone()
        blocked = self._blocked_until(rest, lost)
        if known < self.limit - ahead:
            # Fewer than may count at once, whatever they are: no need to read them, which is long at a high limit.
            moment = max(now, blocked)
        else:
            moment = next_start(self._spans(rows, now), self.limit, self._window, now, blocked, ahead)
        if moment > now:
            # Never so short that adding it to a clock changes nothing.
            seconds = max(SHORTEST_WAIT, min(moment - now, POLL_SECONDS) if ahead else moment - now)
            if lane is not max(Lane):
                rows.execute(
                    "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?)", (*who, now, now + seconds + POLL_SECONDS)
                )
            return Wait(seconds)
        self._forget_old(rows, now)
        if waiting:
            rows.execute("DELETE FROM waiting WHERE (who = ? AND budget = ? AND lane = ?) OR until <= ?", (*who, now))
        number = rows.execute(
            "INSERT INTO request (budget, sent, lost_at) VALUES (?, ?, ?)", (self._name, now, now + timeout_s)
        ).lastrowid
        assert number is not None
        return Permit(number, lane, now, now + timeout_s)

    def _release(self, rows: sqlite3.Connection, permit: Permit, now: float, sent: bool, served: bool) -> None:
        # The moment belongs to the identity: in a replaced file the numbers begin anew.
        which = (permit.number, permit.sent_at)
        if sent:
            rows.execute(
                "UPDATE request SET answered = ? WHERE number = ? AND sent = ? AND answered IS NULL", (now, *which)
            )
        else:
            rows.execute("DELETE FROM request WHERE number = ? AND sent = ? AND answered IS NULL", which)
        if served:
            rows.execute("DELETE FROM rest WHERE budget = ? AND since <= ?", (self._name, permit.sent_at))

    def _back_off(self, rows: sqlite3.Connection, retry_after: float | None, sent_at: float | None) -> float:
        now = self._clock.ticks()
        refusals, until = 0, now
        row = rows.execute("SELECT since, seconds, refusals FROM rest WHERE budget = ?", (self._name,)).fetchone()
        if row is not None and row[0] <= now:
            refusals, until = row[2], max(now, row[0] + row[1])
        if not (refusals and sent_at is not None and sent_at < row[0]):
            refusals += 1
            if not retry_after or retry_after < 1:
                until = max(until, now + min(LONGEST_REST, FIRST_REST * 2 ** min(refusals - 1, 10)))
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
            self._spans(rows, now),
            count,
            self.limit,
            self._window,
            USUAL_LATENCY if latency is None else latency,
            now,
            self._blocked_until(*rows.execute(f"SELECT {_RESTS}", (self._name, now, now)).fetchone()),
        )

    def _used(self, rows: sqlite3.Connection) -> int:
        now = self._clock.ticks()
        return sum(counts_until(span, self._window, now) > now for span in self._spans(rows, now))

    def _spans(self, rows: sqlite3.Connection, now: float) -> list[Span]:
        """A row from the future was written before the machine last started: it ended at 0 on today's clock, at the
        latest. One from before a restart that looks like the past counts as what it looks like, which is later."""
        found = rows.execute("SELECT sent, answered, lost_at FROM request WHERE budget = ?", (self._name,))
        return [
            Span(0.0, 0.0, 0.0) if span.sent > now or (span.answered or 0.0) > now else span
            for span in map(Span._make, found)
        ]

    def _blocked_until(self, rest: float | None, lost: float | None) -> float:
        """Until when all rest: the service asked for it, or the file was lost, and whatever stood in it, requests
        then under way included, must have had its window."""
        return max(rest or 0.0, 0.0 if lost is None else lost + 2 * self._window)

    def _forget_old(self, rows: sqlite3.Connection, now: float) -> None:
        long_ago = now - KEPT_WINDOWS * self._window
        rows.execute(
            "DELETE FROM request WHERE budget = ? AND (coalesce(answered, lost_at) < ? OR (sent > ? AND ? > 0))",
            (self._name, long_ago, now, long_ago),
        )


def wait(clock: Clock, seconds: float) -> None:
    """Sleeps; a clock that wakes up early was asked to stop.

    Raises:
        Interrupted: it was.
    """
    end = clock.ticks() + seconds
    clock.sleep(seconds)
    if end - clock.ticks() > 0.05:
        raise Interrupted(
            "stopped while waiting for the service", "What was done is saved; the same command goes on from there."
        )
