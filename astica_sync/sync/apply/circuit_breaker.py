"""Ends a run that would only waste requests: the network is down, or the service refuses everything."""

from astica_sync.errors import AsticaSyncError, OutcomeUnknown, Refused, RemoteError, Unreachable

UNREACHABLE_TRIES = 4
UNKNOWN_IN_A_ROW = 8
REFUSED_IN_A_ROW = 5
FIRST_PAUSE = 1.0


class CircuitBreaker:
    """Counts consecutive failures of the transport and refusals; any success resets the counts.

    With one answer in ten lost by chance, eight in a row are one case in a hundred million, so an open breaker means
    that something does not work at all.
    """

    def __init__(self) -> None:
        self._unreachable = 0
        self._unknown = 0
        self._refused = 0
        self._paused_until = 0.0

    def succeeded(self) -> None:
        self._unreachable = self._unknown = self._refused = 0

    def pause(self, now: float) -> float:
        """Seconds to wait before the next request."""
        return max(0.0, self._paused_until - now)

    def failed(self, error: RemoteError, now: float) -> AsticaSyncError | None:
        """Counts one failure; returns the error that ends the run, when there were too many."""
        if isinstance(error, Unreachable):
            if now < self._paused_until:
                # Sent before the pause began: one network failure affects all requests under way, and counts once.
                return None
            self._unreachable += 1
            if self._unreachable >= UNREACHABLE_TRIES:
                return Unreachable(f"given up after {self._unreachable} tries: {error}", error.hint)
            self._paused_until = now + FIRST_PAUSE * 2 ** (self._unreachable - 1)
        elif isinstance(error, OutcomeUnknown):
            self._unknown += 1
            if self._unknown >= UNKNOWN_IN_A_ROW:
                return OutcomeUnknown(
                    f"{self._unknown} answers in a row were lost or unreadable, the last one: {error}",
                    "Check the network and the service, then push again: it finds out what was done.",
                )
        elif isinstance(error, Refused):
            self._refused += 1
            if self._refused >= REFUSED_IN_A_ROW:
                return Refused(
                    f"the service refused {self._refused} requests in a row, the last one: {error}",
                    "Look on the service's page for a full account or a changed model, then push again.",
                )
        return None
