"""When the next request may start, so that the service never gets more than its limit in any window (promise 6).

A request counts from the time it is sent until one window after its answer (or its timeout). A new one may start only
while fewer than the limit count. The service counts a request at some time between sending and answer, so two requests
that do not count together here are at least one window apart there.
"""

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

AT_ONCE = 16
"""How many requests of one push are under way at most."""
LONGEST_WINDOW = 86_400.0
"""Seconds; a longer window that a service announces is not believed."""


class Lane(IntEnum):
    """The priority of a request when the limit is reached; the lowest number goes first."""

    INTERACTIVE = 0
    REMOVAL = 1
    BACKLOG = 2


class RequestTimes(NamedTuple):
    """One request on the rate limiter's clock, in seconds: when it was sent, when it was answered (None while it is
    under way), and when it times out at the latest."""

    sent: float
    answered: float | None
    timeout_at: float


def announced_limit(own: tuple[int, float], announced: tuple[int, float], follows: bool) -> tuple[int, float]:
    """The limit and the window in seconds that hold after the service has announced its own: that one where
    ``follows``, else the stricter of both. What cannot be a limit changes nothing."""
    limit, window = announced
    if limit < 1 or not 0 < window <= LONGEST_WINDOW:
        return own
    if follows:
        return announced
    return (min(limit, own[0]), max(window, own[1])) if limit / window < own[0] / own[1] else own


def at_once_after_refusal(answered: int) -> int:
    """How many requests may be under way after a refusal for the limit, when ``answered`` were since, none of them
    refused: one finds out whether the service has room again, and half as many more as it has answered. The limit may
    be known from refusals alone, and be spent by another machine too."""
    return 1 + answered // 2


def counts_until(request: RequestTimes, window: float, now: float) -> float:
    """The earliest time from which the request may no longer count.

    Exact for an answered request. For one under way it is a lower bound that grows with ``now``, since its answer
    cannot arrive earlier than now.
    """
    if request.answered is not None:
        return request.answered + window
    return min(now, request.timeout_at) + window


def next_start(
    requests: Iterable[RequestTimes], limit: int, window: float, now: float, blocked_until: float, ahead: int
) -> float:
    """The earliest time at which a request may start; ``now`` means immediately.

    A later time is a lower bound: ask again then. ``inf`` means that only requests of higher lanes may start.

    Args:
        requests: the requests of at least the last window; older ones do no harm.
        limit: how many requests the service allows in one window.
        window: its length in seconds.
        now: the current time.
        blocked_until: no request may start before, because the service refused one for its limit.
        ahead: how many requests of higher lanes wait; a place is left for each.
    """
    places = limit - ahead
    if places <= 0:
        return math.inf
    ends = sorted(end for request in requests if (end := counts_until(request, window, now)) > now)
    free_at = ends[-places] if len(ends) >= places else now
    return max(now, free_at, blocked_until)


def forecast(
    requests: Iterable[RequestTimes],
    count: int,
    limit: int,
    window: float,
    latency: float,
    now: float,
    blocked_until: float = 0.0,
    at_once: int = 0,
) -> float:
    """Seconds until ``count`` more requests are answered, if each takes ``latency`` seconds, and no more than
    ``at_once`` are under way at a time (0: as many as the limit allows).

    With one latency for all, places come free in the order in which they were taken: each request starts one latency
    and one window after the request that is ``limit`` places before it. The parameters are independent numbers:
    no two of them go together elsewhere.
    """
    if count <= 0:
        return 0.0
    ends = sorted(
        max(now, request.sent + latency) + window if request.answered is None else request.answered + window
        for request in requests
    )
    # The places of the first round: the free ones, then the others in the order in which they come free.
    taken = ends[-limit:]
    rounds, place = divmod(count - 1, limit)
    free = limit - len(taken)
    start_of_first_round = now if place < free else max(now, taken[place - free])
    start = max(start_of_first_round, blocked_until) + rounds * (window + latency)
    return max(start + latency - now, math.ceil(count / at_once) * latency if at_once else 0.0)
