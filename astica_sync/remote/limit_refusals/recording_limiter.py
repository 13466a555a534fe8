"""A rate limiter that reports each request which the service has refused for its limit."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from astica_sync.errors import AsticaSyncError

if TYPE_CHECKING:
    from astica_sync.core.rate_limit import Lane
    from astica_sync.remote.limit_refusals.passed_requests import PassedRequests
    from astica_sync.remote.limiter import Limiter
    from astica_sync.remote.rate_limiter import OnWait, Permit, Wait

OnRefusal = Callable[[int, int | None], None]
"""Called with 1 after each refusal, and with 0 once those that were under way then are answered as well, if none has
begun meanwhile. The second number is how many requests of the last window are answered, those that were refused
included; None where that is not known."""


class RecordingLimiter:
    """Passes every call on to ``inner``. For any number of threads."""

    def __init__(
        self, inner: "Limiter", on_refusal: OnRefusal, *, counts: bool, passed: "PassedRequests | None" = None
    ) -> None:
        """``counts``: ``inner`` knows the requests of the last window without asking another machine. ``passed`` gets
        those that are not refused."""
        self._inner = inner
        self._on_refusal = on_refusal
        self._counts = counts
        self._passed = passed
        self._lock = threading.Lock()
        self._under_way = 0
        self._refused: set[float] = set()
        """When each request was allowed that is refused and not released yet."""
        self._incomplete = False
        """Whether some were under way at the last refusal, and nothing has begun since."""

    @property
    def limit(self) -> int:
        return self._inner.limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._inner.limit = limit

    def take_policy(self, limit: int, window: float) -> None:
        self._inner.take_policy(limit, window)

    def policy_announced(self) -> None:
        """The service names its limit, which holds from now on: what went through says no more than that."""
        self._counts = False

    def try_acquire(self, lane: "Lane", timeout_s: float | None = None) -> "Permit | Wait":
        from astica_sync.remote.rate_limiter import REQUEST_TIMEOUT_SECONDS, Permit

        got = self._inner.try_acquire(lane, REQUEST_TIMEOUT_SECONDS if timeout_s is None else timeout_s)
        if isinstance(got, Permit):
            self._began()
        return got

    def acquire(self, lane: "Lane", timeout_s: float | None = None, on_wait: "OnWait | None" = None) -> "Permit":
        from astica_sync.remote.rate_limiter import REQUEST_TIMEOUT_SECONDS

        permit = self._inner.acquire(lane, REQUEST_TIMEOUT_SECONDS if timeout_s is None else timeout_s, on_wait)
        self._began()
        return permit

    def extend(self, permit: "Permit", timeout_at: float) -> "Permit | None":
        extended = self._inner.extend(permit, timeout_at)
        if extended is None:
            # Its place is lost, and it is not released.
            self._ended(permit)
        return extended

    def release(self, permit: "Permit", *, sent: bool = True, served: bool = False) -> None:
        self._inner.release(permit, sent=sent, served=served)
        refused, complete = self._ended(permit)
        if refused or complete:
            self._on_refusal(int(refused), self._count_answered() if complete else None)
        if served and self._passed is not None:
            self._passed.add()

    def back_off(self, retry_after: float | None = None, sent_at: float | None = None) -> float:
        if sent_at is not None:
            with self._lock:
                self._refused.add(sent_at)
        if self._passed is not None:
            self._passed.forget()
        return self._inner.back_off(retry_after, sent_at)

    def forecast(self, count: int) -> float:
        return self._inner.forecast(count)

    def used(self) -> int:
        return self._inner.used()

    def rest(self) -> float:
        return self._inner.rest()

    def close(self) -> None:
        self._inner.close()

    def _began(self) -> None:
        with self._lock:
            self._under_way += 1
            self._incomplete = False

    def _ended(self, permit: "Permit") -> tuple[bool, bool]:
        """Whether it was refused, and whether all that count for the last refusal are answered now: of those under way
        the service may have served some already."""
        with self._lock:
            self._under_way = max(0, self._under_way - 1)
            refused = permit.sent_at in self._refused
            self._refused.discard(permit.sent_at)
            self._incomplete |= refused
            complete = self._incomplete and not self._under_way
            self._incomplete &= not complete
            return refused, complete

    def _count_answered(self) -> int | None:
        if not self._counts:
            return None
        try:
            return self._inner.used()
        except AsticaSyncError:
            return None
