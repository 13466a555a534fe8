"""What a rate limiter does for the client, wherever it counts: in a file of this machine, or on a budget server."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from astica_sync.core.rate_limit import Lane
    from astica_sync.remote.rate_limiter import OnWait, Permit, Wait


class Limiter(Protocol):
    """The methods of ``RateLimiter``, which documents them. For any number of threads and processes."""

    limit: int

    def take_policy(self, limit: int, window: float) -> None: ...

    def try_acquire(self, lane: "Lane", timeout_s: float = ...) -> "Permit | Wait": ...

    def acquire(self, lane: "Lane", timeout_s: float = ..., on_wait: "OnWait | None" = None) -> "Permit": ...

    def extend(self, permit: "Permit", timeout_at: float) -> "Permit | None": ...

    def release(self, permit: "Permit", *, sent: bool = True, served: bool = False) -> None: ...

    def back_off(self, retry_after: float | None = None, sent_at: float | None = None) -> float: ...

    def forecast(self, count: int) -> float: ...

    def used(self) -> int: ...

    def close(self) -> None: ...
