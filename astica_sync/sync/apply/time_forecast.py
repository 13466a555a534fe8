"""The time that remains, for people."""

from astica_sync.clock import Clock
from astica_sync.remote.rate_limited_client import RateLimitedClient

FORECAST_SECONDS = 1.0
"""How old a forecast may be that is shown: each new one is a transaction of the request budget."""


class Forecast:
    """The seconds until the remaining requests are answered; asks the budget once a second and counts down between."""

    def __init__(self, service: RateLimitedClient, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._asked_at = float("-inf")
        self._seconds = 0.0

    def seconds(self, requests_left: int) -> float:
        now = self._clock.now()
        if now - self._asked_at >= FORECAST_SECONDS:
            self._asked_at, self._seconds = now, self._service.forecast(requests_left)
        return max(0.0, self._seconds - (now - self._asked_at)) if requests_left else 0.0
