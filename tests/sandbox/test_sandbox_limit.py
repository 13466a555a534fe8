"""The limit of requests in any window, separate for each endpoint."""

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.http.limiter import SlidingWindow
from astica_sync.sandbox.http.request_log import most_in_any_window


class Hands:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def sandbox(hands: Hands) -> Iterator[RunningSandbox]:
    with running(now=hands, limit=3, window=60) as running_sandbox:
        yield running_sandbox


def test_the_documented_limit_is_90_in_60_seconds(hands):
    with running(now=hands) as running_sandbox, httpx.Client() as client:
        body = {"tkn": running_sandbox.key}
        outcomes = [client.post(f"{running_sandbox.url}/model/list", json=body).status_code for _ in range(91)]
    assert outcomes == [200] * 90 + [429]


def test_a_request_over_the_limit_is_refused_and_does_nothing(sandbox, upload):
    model = sandbox.add_model()
    assert [upload(model, "Can").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert len(sandbox.samples(model)) == 3
    assert [request.outcome for request in sandbox.log] == ["ok"] * 3 + ["limited"] * 2
    assert sandbox.max_in_any_window() == 5


def test_a_place_is_free_again_one_window_after_its_request(sandbox, post, hands):
    for _ in range(3):
        assert post("/model/list").status_code == 200
        hands.time += 10
    hands.time += 29.9  # 59.9 after the first
    assert post("/model/list").status_code == 429
    hands.time += 0.1
    assert post("/model/list").status_code == 200
    assert post("/model/list").status_code == 429


def test_each_endpoint_has_its_own_limit(sandbox, post):
    for _ in range(3):
        assert post("/detect").status_code == 200
    assert post("/detect").status_code == 429
    assert post("/model/list").status_code == 200
    assert sandbox.max_in_any_window("detect") == 4
    assert sandbox.max_in_any_window("train") == 1


def test_the_limit_may_change_while_the_sandbox_runs(sandbox, post):
    sandbox.set_limit(1, 60)
    assert [post("/model/list").status_code for _ in range(2)] == [200, 429]


def test_a_refusal_has_retry_after_with_the_switch(sandbox, post, hands):
    sandbox.set_switches(limit_refusal="429-retry-after")
    for _ in range(3):
        post("/model/list")
    hands.time += 18.5
    answer = post("/model/list")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "42")
    sandbox.set_switches(limit_refusal="429")
    answer = post("/model/list")
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(("error_status", "status"), [("200", 200), ("4xx", 400)])
def test_a_refusal_is_an_error_text_with_the_switch(sandbox, post, error_status, status):
    sandbox.set_switches(limit_refusal="error-text", error_status=error_status)
    for _ in range(3):
        post("/model/list")
    answer = post("/model/list")
    assert answer.status_code == status
    assert answer.json()["status"] == "ERROR"
    assert "limit" in answer.json()["error"].lower()


@given(st.lists(st.floats(0, 300), max_size=80), st.integers(1, 9), st.floats(0.5, 90))
def test_no_window_ever_admits_more_than_the_limit(times, limit, window):
    limiter = SlidingWindow(limit, window)
    admitted = [time for time in sorted(times) if limiter.admit(time) == 0]
    # Judged by plain counting; the width spares the rounding of a sum of two floats.
    for start in admitted:
        assert sum(start <= time < start + window * (1 - 1e-9) for time in admitted) <= limit
    assert most_in_any_window(admitted, window * (1 - 1e-9)) <= limit


@given(st.lists(st.floats(0, 50), max_size=40), st.floats(0.5, 20))
def test_most_in_any_window_agrees_with_plain_counting(times, window):
    plain = max((sum(start <= time < start + window for time in times) for start in times), default=0)
    assert most_in_any_window(times, window) == plain


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40), st.integers(1, 5))
def test_admit_returns_the_seconds_until_a_place_is_free(times, limit):
    limiter = SlidingWindow(limit, 10)
    for time in sorted(times):
        wait = limiter.admit(time)
        assert 0 <= wait <= 10.000001
        if wait:
            assert limiter.admit(time + wait + 1e-6) == 0
            break
