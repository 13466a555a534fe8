"""When may the next request start, so that the service never sees more than its limit in any window (promise 6).

A request counts from the moment it is sent until one window after its answer (or its time-out). A new one may start
only while fewer than the limit count. The service's own moment for a request lies somewhere between sending and
answer, so any two requests that do not count together are a whole window apart there too.
"""

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple


class Lane(IntEnum):
    """Who goes first when places are scarce; the lower the number, the sooner."""

    INTERACTIVE = 0
    REMOVAL = 1
    BACKLOG = 2


class Span(NamedTuple):
    """One request on the budget's clock: when it was sent, when it was answered (None while it is under way), and
    when it is given up for lost at the latest. All in seconds."""

    sent: float
    answered: float | None
    lost_at: float


def counts_until(span: Span, window: float, now: float) -> float:
    """The earliest moment from which the request may no longer count.

    Exact for an answered one; for one under way it is a lower bound that moves on with ``now``: its answer cannot
    come earlier than now.
    """
    if span.answered is not None:
        return span.answered + window
    return min(now, span.lost_at) + window


def next_start(spans: Iterable[Span], limit: int, window: float, now: float, blocked_until: float, ahead: int) -> float:
    """The earliest moment at which a request may start; ``now`` means at once.

    A later moment is a lower bound: ask again then. ``inf`` means that only the ones ahead may go.

    Args:
        spans: the requests of at least the last window; older ones do no harm.
        limit: how many requests the service allows in one window.
        window: its length in seconds.
        now: the moment of the question.
        blocked_until: no request at all before this moment, because the service asked for rest.
        ahead: how many requests of higher lanes wait; a place is left for each.
    """
    room = limit - ahead
    if room <= 0:
        return math.inf
    ends = sorted(end for span in spans if (end := counts_until(span, window, now)) > now)
    free_at = ends[-room] if len(ends) >= room else now
    return max(now, free_at, blocked_until)


def forecast(
    spans: Iterable[Span],
    count: int,
    limit: int,
    window: float,
    latency: float,
    now: float,
    blocked_until: float = 0.0,
) -> float:
    """Seconds until ``count`` more requests will have been answered, if each takes ``latency`` seconds.

    With one latency for all, places come free in the order in which they were taken: the k-th request starts one
    latency and one window after the one a whole limit before it.
    """
    if count <= 0:
        return 0.0
    ends = sorted(
        max(now, span.sent + latency) + window if span.answered is None else span.answered + window for span in spans
    )
    # The places of the first round: those that nobody has, then the others as they come free.
    taken = ends[-limit:]
    rounds, place = divmod(count - 1, limit)
    free = limit - len(taken)
    start_of_first_round = now if place < free else max(now, taken[place - free])
    start = max(start_of_first_round, blocked_until) + rounds * (window + latency)
    return start + latency - now
