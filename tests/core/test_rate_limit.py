"""Promise 6: with any network, the rule never lets the service receive more requests than its limit."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.rate_limit import (
    LONGEST_WINDOW,
    RequestTimes,
    announced_limit,
    at_once_after_refusal,
    counts_until,
    forecast,
    next_start,
)

WINDOW = 60.0


def test_after_a_refusal_requests_go_on_one_by_one_and_then_by_half_of_what_was_answered() -> None:
    assert [at_once_after_refusal(number) for number in range(6)] == [1, 1, 2, 2, 3, 3]


def answered(*times: float) -> list[RequestTimes]:
    return [RequestTimes(time, time, time + 30) for time in times]


@pytest.mark.parametrize(
    ("announced", "follows", "holds"),
    [
        ((30, 60.0), False, (30, 60.0)),
        ((1000, 60.0), False, (90, 60.0)),
        ((1000, 60.0), True, (1000, 60.0)),
        ((120, 3600.0), False, (90, 3600.0)),
        ((0, 60.0), True, (90, 60.0)),
        ((30, 0.0), True, (90, 60.0)),
        ((30, math.nan), True, (90, 60.0)),
        ((30, LONGEST_WINDOW + 1), True, (90, 60.0)),
    ],
)
def test_an_announced_limit_holds_where_it_is_stricter_or_followed(
    announced: tuple[int, float], follows: bool, holds: tuple[int, float]
) -> None:
    assert announced_limit((90, 60.0), announced, follows) == holds


def test_a_request_starts_immediately_while_fewer_than_the_limit_count() -> None:
    assert next_start(answered(1, 2), 3, WINDOW, now=5, blocked_until=0, ahead=0) == 5


def test_a_place_is_free_one_window_after_the_oldest_answer() -> None:
    assert next_start(answered(1, 2, 3), 3, WINDOW, now=5, blocked_until=0, ahead=0) == 61


def test_the_window_starts_with_the_answer() -> None:
    assert (
        next_start([RequestTimes(sent=1, answered=4, timeout_at=30)], 1, WINDOW, now=5, blocked_until=0, ahead=0) == 64
    )


def test_a_request_under_way_counts_for_at_least_a_window_from_now() -> None:
    assert next_start([RequestTimes(1, None, 31)], 1, WINDOW, now=20, blocked_until=0, ahead=0) == 80


def test_a_lost_request_counts_until_a_window_after_its_timeout() -> None:
    assert next_start([RequestTimes(1, None, 31)], 1, WINDOW, now=50, blocked_until=0, ahead=0) == 91
    assert next_start([RequestTimes(1, None, 31)], 1, WINDOW, now=91, blocked_until=0, ahead=0) == 91


def test_no_request_starts_while_all_are_blocked() -> None:
    assert next_start([], 90, WINDOW, now=5, blocked_until=9, ahead=0) == 9


def test_a_place_is_left_for_each_request_waiting_in_a_higher_lane() -> None:
    requests = answered(1, 2)
    assert next_start(requests, 4, WINDOW, now=5, blocked_until=0, ahead=1) == 5
    assert next_start(requests, 4, WINDOW, now=5, blocked_until=0, ahead=2) == 61
    assert next_start(requests, 4, WINDOW, now=5, blocked_until=0, ahead=3) == 62
    assert next_start(requests, 4, WINDOW, now=5, blocked_until=0, ahead=4) == math.inf


def test_more_requests_than_the_limit_wait_until_enough_have_passed() -> None:
    assert next_start(answered(1, 2, 3, 4), 2, WINDOW, now=5, blocked_until=0, ahead=0) == 63


seconds = st.integers(0, 4000).map(lambda quarter: quarter / 4)
exchanges = st.lists(
    st.tuples(
        seconds.map(lambda gap: gap % 40), seconds.map(lambda latency: latency % 30), st.floats(0, 1), st.booleans()
    ),
    max_size=60,
)


@given(exchanges, st.integers(1, 6))
def test_no_window_of_the_service_holds_more_than_the_limit(
    exchanges: list[tuple[float, float, float, bool]], limit: int
) -> None:
    """Requests come after random gaps, take random times, and are carried out at a random time in between; some are
    never answered. Each starts at exactly the time given by the rule, asking again where that is a lower bound."""
    now = 1000.0
    requests: list[RequestTimes] = []
    moments: list[float] = []
    for gap, latency, share, is_lost in exchanges:
        now += gap
        while (start := next_start(known(requests, now), limit, WINDOW, now, 0, 0)) > now:
            now = start
        requests.append(RequestTimes(now, None if is_lost else now + latency, now + 30))
        moments.append(now + share * (30 if is_lost else latency))
    moments.sort()
    for index, moment in enumerate(moments):
        assert bisect_left(moments, moment + WINDOW) - index <= limit


def known(requests: list[RequestTimes], now: float) -> list[RequestTimes]:
    """What is known at the time ``now``: no answer of the future."""
    return [
        RequestTimes(
            request.sent,
            request.answered if request.answered is not None and request.answered <= now else None,
            request.timeout_at,
        )
        for request in requests
    ]


@given(exchanges, st.integers(1, 6))
def test_waiting_is_never_longer_than_needed(exchanges: list[tuple[float, float, float, bool]], limit: int) -> None:
    """Just before the given time, the limit is used up."""
    now = 1000.0
    requests: list[RequestTimes] = []
    for gap, latency, _, _ in exchanges:
        now += gap
        seen = known(requests, now)
        start = next_start(seen, limit, WINDOW, now, 0, 0)
        if start > now:
            assert sum(counts_until(request, WINDOW, now) >= start for request in seen) >= limit
        now = max(now, start)
        requests.append(RequestTimes(now, now + latency, now + 30))


@given(
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), max_size=8),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(1, 20),
    st.integers(0, 90),
)
def test_the_forecast_is_the_time_a_run_takes(
    before: list[tuple[int, int]], count: int, limit: int, latency: int, blocked: int
) -> None:
    now = 100.0
    requests = [RequestTimes(now - age, now - age + spent, 300) for age, spent in before if spent <= age]
    said = forecast(requests, count, limit, WINDOW, latency, now, blocked_until=now + blocked)
    time = now
    for _ in range(count):
        while (start := next_start(known(requests, time), limit, WINDOW, time, now + blocked, 0)) > time:
            time = start
        requests.append(RequestTimes(time, time + latency, time + 30))
    assert said == pytest.approx(time + latency - now)


def test_the_forecast_of_nothing_is_nothing() -> None:
    assert forecast(answered(1), 0, 1, WINDOW, 1, now=2) == 0


def test_the_forecast_of_a_long_backlog_is_a_window_and_a_latency_for_each_limit() -> None:
    assert forecast([], 900_000, 90, WINDOW, 0.5, now=0) == pytest.approx(9_999 * 60.5 + 0.5)


def test_a_slow_service_answers_no_more_than_are_under_way() -> None:
    assert forecast([], 60, 90, WINDOW, 6.0, now=0, at_once=16) == 24.0
    assert forecast([], 60, 90, WINDOW, 0.1, now=0, at_once=16) == pytest.approx(0.4)
    assert forecast([], 200, 90, WINDOW, 0.1, now=0, at_once=16) == forecast([], 200, 90, WINDOW, 0.1, now=0)


def test_a_forecast_with_a_high_limit_is_fast():
    requests = [RequestTimes(0.0, 1.0, 180.0), RequestTimes(1.0, None, 180.0)]
    assert forecast(requests, 10, 10**12, 60.0, 0.5, 2.0) == 0.5
