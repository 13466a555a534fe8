"""The rate limiter of one key and one endpoint, shared by all machines that name the same budget server.

The server decides when a request may start (``budget_server``), and this file what happens where it does not answer:
nothing is sent, or what this machine's share allows. The server never hands out that share, so the two together stay
below the limit whatever becomes of the server, of the network or of other machines.
"""

import contextlib
import itertools
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from astica_sync.clock import Clock
from astica_sync.core.rate_limit import AT_ONCE, Lane, RequestTimes, announced_limit, forecast
from astica_sync.errors import DatabaseError
from astica_sync.remote.rate_limiter import (
    FIRST_BACK_OFF,
    LONGEST_BACK_OFF,
    LONGEST_RETRY_AFTER,
    REQUEST_TIMEOUT_SECONDS,
    SHORTEST_WAIT,
    USUAL_LATENCY,
    OnWait,
    Permit,
    RateLimiter,
    Wait,
    sleep,
)
from astica_sync.remote.shared_budget.budget_server import (
    PLACES_SHOWN,
    BudgetServer,
    Reply,
    ServerAway,
    ServerUnusable,
    Terms,
)
from astica_sync.remote.shared_budget.elapsed_proof import DRIFT, Anchor, ElapsedProof

SLACK = 0.05
"""By how much of its timeout a place is held longer, so that a request that leaves a moment later asks only once."""
FIRST_RETRY = 0.5
LONGEST_RETRY = 15.0
"""Seconds before a server that did not answer is asked again; twice as long each time."""
REPORT_EVERY = 300.0
UNDER_WAY_SECONDS = REQUEST_TIMEOUT_SECONDS
"""For how long a request may be under way that a server without records does not know of."""
LONGEST_HOLD = 2400.0
SHORTEST_LOOK = 2.0
"""Seconds; for a shorter wait the server is not asked who has spent the limit, since no message shows it."""
MOST_PENDING = 1000

OnNote = Callable[[str], None]
"""Called when the budget begins, or ceases, to work as it should; for messages."""


def ignore_note(text: str) -> None:
    """For those who show no messages."""


@dataclass(frozen=True, slots=True)
class ServerPermit(Permit):
    """A permit of the server: the name it has there, and the server's time at which it was granted."""

    member: str
    granted: float


@dataclass(frozen=True, slots=True)
class Pool:
    """What the server hands out of the limit, in parts of it. ``share`` is what this machine may use alone, counted in
    a file of its own; the parts of all machines and that of the server are 1 at most."""

    part: float = 1.0
    own_part: float = 0.0
    share: RateLimiter | None = None

    def of(self, limit: int) -> int:
        return part_of(limit, self.part)


def part_of(limit: float, part: float) -> int:
    """The whole requests in a part of a limit. ``0.7 * 90`` is a little less than 63."""
    return int(limit * part + 1e-9)


class SharedRateLimiter:
    """At most ``limit`` requests in any ``window`` seconds, over all machines. For any number of threads.

    The clock's ticks must go on while the machine sleeps. The parameters are those of the local rate limiter, with the
    server in place of the file, and what is left where it does not answer.
    """

    def __init__(
        self,
        server: BudgetServer,
        *,
        place: str,
        name: str,
        limit: int,
        window: float,
        clock: Clock,
        pool: Pool = Pool(),
        follows: bool = False,
        on_note: OnNote = ignore_note,
        longest_timeout: float | None = None,
        proof: ElapsedProof | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """``place`` is the server's address without its password, for messages."""
        self.limit: int = limit
        self._server = server
        self._place = place
        self._name = name
        self._window = window
        self._clock = clock
        self._pool = pool
        self._follows = follows
        self._on_note = on_note
        self._longest_timeout = UNDER_WAY_SECONDS if longest_timeout is None else longest_timeout
        self._proof = proof or ElapsedProof(window, LONGEST_HOLD)
        self._on_close = on_close
        self._who = os.urandom(6).hex()
        self._pid = os.getpid()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._permits: dict[int, ServerPermit] = {}
        self._ended: deque[float] = deque()
        """Until when each request of this limiter that has ended counts, on the clock."""
        self._pending: list[tuple[str, list[str]]] = []
        self._distrusted = ""
        self._met = False
        self._away = ""
        self._retry_s = 0.0
        self._retry_at = 0.0
        self._said = ""
        self._notes: deque[str] = deque()

    def take_policy(self, limit: int, window: float) -> None:
        """As the local one."""
        self.limit, self._window = announced_limit((self.limit, self._window), (limit, window), self._follows)
        if self._pool.share is not None:
            self._pool.share.take_policy(part_of(limit, self._pool.own_part), window)

    def try_acquire(self, lane: Lane, timeout_s: float = REQUEST_TIMEOUT_SECONDS) -> Permit | Wait:
        """As the local one. This machine's own share is used first."""
        waits = []
        if self._pool.share is not None:
            own = self._pool.share.try_acquire(lane, timeout_s)
            if isinstance(own, Permit):
                return own
            waits.append(own)
        if self._pool.of(self.limit) >= 1:
            found = self._take(lane, timeout_s)
            if isinstance(found, Permit):
                return found
            waits.append(found)
        seconds = min((wait.seconds for wait in waits), default=self._window)
        return Wait(seconds, sum(wait.others for wait in waits), self._window, self._said)

    def acquire(self, lane: Lane, timeout_s: float = REQUEST_TIMEOUT_SECONDS, on_wait: OnWait | None = None) -> Permit:
        """As the local one. A server that is away is asked often, and each wait for it is reported once in a while."""
        silent_until = float("-inf")
        while True:
            permit = self.try_acquire(lane, timeout_s)
            if isinstance(permit, Permit):
                return permit
            now = self._clock.ticks()
            if on_wait is not None and (not self._away or now >= silent_until):
                on_wait(permit.seconds, permit.reason)
                silent_until = now + REPORT_EVERY if self._away and permit.seconds >= LONGEST_RETRY / 2 else now
            sleep(self._clock, permit.seconds)

    def extend(self, permit: Permit, timeout_at: float) -> Permit | None:
        """As the local one. None also where the server does not answer, since it may not count any more."""
        if timeout_at <= permit.timeout_at:
            return permit
        if not isinstance(permit, ServerPermit):
            return self._pool.share.extend(permit, timeout_at) if self._pool.share is not None else None
        now = self._clock.ticks()
        timeout = (timeout_at - now) * (1 + SLACK)
        member = _member(permit.member.partition("|")[0], timeout)
        try:
            with self._held():
                reply = self._call("extend", [permit.member, member])
                if reply.status == "void":
                    self._permits.pop(permit.number, None)
                    return None
                longer = replace(permit, member=member, timeout_at=now + timeout)
                self._permits[permit.number] = longer
                return longer
        except ServerAway:
            with self._held():
                self._permits.pop(permit.number, None)
                # Which of the two names it has now is not known.
                for name in (permit.member, member):
                    self._later("release", [name, "0", "0", "0", "0"])
            return None

    def release(self, permit: Permit, *, sent: bool = True, served: bool = False) -> None:
        """As the local one. What does not reach the server now is repeated with the next call."""
        if not isinstance(permit, ServerPermit):
            if self._pool.share is not None:
                self._pool.share.release(permit, sent=sent, served=served)
            return
        with self._held():
            current = self._permits.pop(permit.number, None)
            if current is None:
                return
            now = self._clock.ticks()
            if sent:
                self._ended.append(now + self._window * (1 + DRIFT))
            latency = max(0.0, now - current.sent_at)
            arguments = [current.member, "01"[sent], "01"[served], f"{current.granted:.6f}", f"{latency:.6f}"]
            try:
                self._call("release", arguments)
            except (ServerAway, DatabaseError):
                self._later("release", arguments)

    def back_off(self, retry_after: float | None = None, sent_at: float | None = None) -> float:
        """As the local one, for all machines."""
        rests = [0.0]
        if self._pool.share is not None:
            rests.append(self._pool.share.back_off(retry_after, sent_at))
        with self._held():
            granted = next((one.granted for one in self._permits.values() if one.sent_at == sent_at), None)
            arguments = [
                "" if retry_after is None else f"{retry_after:.6f}",
                "" if granted is None else f"{granted:.6f}",
                str(FIRST_BACK_OFF),
                str(LONGEST_BACK_OFF),
                str(LONGEST_RETRY_AFTER),
            ]
            try:
                rests.append(self._call("back_off", arguments).seconds)
            except ServerAway:
                self._later("back_off", arguments)
                rests.append(min(retry_after or FIRST_BACK_OFF, LONGEST_RETRY_AFTER))
        return max(rests)

    def forecast(self, count: int) -> float:
        """As the local one; where the server does not answer, as if it counted nothing."""
        if count <= 0:
            return 0.0
        try:
            requests, blocked, latency = self._look()
        except ServerAway:
            requests, blocked, latency = [], 0.0, None
        limit = max(1, self._pool.of(self.limit))
        return forecast(
            requests, count, limit, self._window, USUAL_LATENCY if latency is None else latency, 0.0, blocked, AT_ONCE
        )

    def used(self) -> int:
        """As the local one; a ``DatabaseError`` also where the server does not answer."""
        try:
            requests, _, _ = self._look()
        except ServerAway as error:
            raise DatabaseError(
                f"the request budget {self._place} does not answer ({error})",
                f"Start it, or correct budget in your settings. {self._until_then}",
            ) from None
        return len(requests) + (self._pool.share.used() if self._pool.share is not None else 0)

    def rest(self) -> float:
        """Seconds until requests may start again after a refusal of the service; 0 where none has to wait for that, or
        where the server begins a new count, which it says itself.

        Raises:
            DatabaseError: the server cannot be used or does not answer.
        """
        try:
            with self._held():
                reply = self._call("look", [str(PLACES_SHOWN)])
        except ServerAway as error:
            raise DatabaseError(f"the request budget {self._place} does not answer ({error})", "Start it.") from None
        return 0.0 if reply.why else reply.seconds

    @property
    def _until_then(self) -> str:
        if self._pool.share is None:
            return "Until then nothing is sent."
        return f"Until then this machine sends its own share at most, {self._pool.share.limit} in {self._window:g} s."

    def close(self) -> None:
        with self._held():
            self._server.close()
        self._on_close()
        if self._pool.share is not None:
            self._pool.share.close()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Holds the lock, and then calls for the messages, which may wait for a lock of their own."""
        try:
            with self._lock:
                yield
        finally:
            while note := self._next_note():
                self._on_note(note)

    def _next_note(self) -> str:
        try:
            return self._notes.popleft()
        except IndexError:
            return ""

    def _take(self, lane: Lane, timeout_s: float) -> Permit | Wait:
        held = timeout_s * (1 + SLACK)
        member = _member(secrets.token_hex(8), held)
        who = f"{self._who}.{threading.get_ident()}"
        with self._held():
            sent = self._clock.ticks()
            if self._away and sent < self._retry_at:
                return Wait(max(SHORTEST_WAIT, self._retry_at - sent))
            try:
                reply = self._call("take", [member, str(int(lane)), who])
            except ServerAway:
                # It may have been carried out, and its answer lost.
                self._later("release", [member, "0", "0", "0", "0"])
                return Wait(max(SHORTEST_WAIT, self._retry_at - self._clock.ticks()))
            if reply.status == "granted":
                permit = ServerPermit(next(self._numbers), lane, sent, sent + held, member, reply.wall)
                self._permits[permit.number] = permit
                return permit
        seconds = max(SHORTEST_WAIT, reply.seconds / (1 - DRIFT) + SHORTEST_WAIT)
        return Wait(seconds, self._of_others() if seconds >= SHORTEST_LOOK else 0, self._window)

    def _of_others(self) -> int:
        """How many of the requests that count on the server this limiter has not sent; 0 where it does not answer."""
        try:
            requests, _, _ = self._look()
        except (ServerAway, DatabaseError):
            return 0
        with self._lock:
            now = self._clock.ticks()
            while self._ended and self._ended[0] <= now:
                self._ended.popleft()
            return max(0, len(requests) - len(self._permits) - len(self._ended))

    def _look(self) -> tuple[list[RequestTimes], float, float | None]:
        """The requests that count, until when none may start, and how long one takes, all from now on."""
        with self._held():
            reply = self._call("look", [str(PLACES_SHOWN)])
        if not reply.details:
            raise ServerAway("its answer is not the expected one")
        latency = float(reply.details[0]) if reply.details[0] else None
        places = zip(reply.details[1::2], reply.details[2::2], strict=True)
        requests = [RequestTimes(float(at), float(at) if kind == "done" else None, float("inf")) for kind, at in places]
        return requests, reply.seconds, latency

    def _call(self, operation: str, arguments: list[str]) -> Reply:
        """Runs an operation, after those that did not reach the server before. The lock is held."""
        if os.getpid() != self._pid:
            raise RuntimeError("the rate limiter was used after a fork: open it again in the child")
        if self._away and self._clock.ticks() < self._retry_at:
            raise ServerAway(self._away)
        try:
            while self._pending:
                self._ask(*self._pending[0])
                del self._pending[0]
            reply = self._ask(operation, arguments)
        except ServerAway as error:
            self._note_away(str(error))
            raise
        except ServerUnusable as error:
            if not self._met:
                raise DatabaseError(f"the request budget {self._place} cannot be used: {error}", error.hint) from None
            # It worked before, so it is being changed.
            self._note_away(str(error))
            raise ServerAway(str(error)) from None
        self._note(reply)
        return reply

    def _ask(self, operation: str, arguments: list[str]) -> Reply:
        now = self._clock.ticks()
        epoch, proofs = self._proof.proofs(now)
        pool = max(1, self._pool.of(self.limit))
        rest = max(2 * self._window, self._longest_timeout * (1 + SLACK) + self._window) * (1 + DRIFT)
        terms = Terms(pool, self._window, DRIFT, rest, secrets.token_hex(8), self._distrusted, epoch, proofs)
        reply = self._server.call(self._name, terms, operation, arguments)
        if self._proof.learn(reply.epoch, Anchor(reply.wall, now, self._clock.ticks())):
            self._distrusted = reply.epoch
        return reply

    def _later(self, operation: str, arguments: list[str]) -> None:
        if len(self._pending) < MOST_PENDING:
            self._pending.append((operation, arguments))

    def _note_away(self, reason: str) -> None:
        self._retry_s = min(LONGEST_RETRY, 2 * self._retry_s) if self._away else FIRST_RETRY
        self._retry_at = self._clock.ticks() + self._retry_s
        self._away = reason
        share = self._pool.share
        then = (
            f"this machine goes on with its own share, {share.limit} in {self._window:g} s"
            if share is not None
            else "nothing is sent until it does"
        )
        self._say(f"the request budget {self._place} does not answer ({reason}): {then}")

    def _note(self, reply: Reply) -> None:
        self._met, self._away, self._retry_s = True, "", 0.0
        pool = max(1, self._pool.of(self.limit))
        if reply.why:
            what = _WHY.get(reply.why, "has begun a new count")
            self._say(
                f"the request budget {self._place} {what}: it allows requests again when those that it may not know of"
                " have left the window"
            )
        elif reply.limit < pool or reply.window > self._window:
            share = self._pool.share
            if share is not None and self._pool.part:
                # The parts are those of one limit, the lower one.
                share.limit = min(share.limit, part_of(reply.limit / self._pool.part, self._pool.own_part))
            self._say(
                f"another machine uses the request budget {self._place} with {reply.limit} requests in"
                f" {reply.window:g} s, and this one with {pool} in {self._window:g} s: the lower limit holds for both"
            )
        elif self._said:
            self._said = ""
            self._notes.append(f"the request budget {self._place} works")

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._notes.append(text)


_WHY = {
    "new": "has no records yet, or has lost them",
    "restarted": "was restarted",
    "damaged": "has lost records",
    "clock": "has a clock that went back",
}


def _member(identity: str, timeout: float) -> str:
    """The name of a request on the server, with its timeout."""
    return f"{identity}|{timeout:.6f}"
