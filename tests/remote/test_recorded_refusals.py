"""What is recorded of the requests that the service refuses for its limit, and what is said of it later."""

import json
from pathlib import Path

import pytest

from astica_sync.core.rate_limit import Lane
from astica_sync.doctor.check_budget import number_to_set
from astica_sync.remote.limit_refusals.passed_requests import PassedRequests
from astica_sync.remote.limit_refusals.recording_limiter import RecordingLimiter
from astica_sync.remote.rate_limiter import Permit, RateLimiter
from astica_sync.system.refusal_record import (
    FILE_NAME,
    FORGET_SECONDS,
    STRETCH_SECONDS,
    LimitRefusals,
    SeenRefusals,
    last_refusals,
    record_passed,
    record_refusal,
)
from tests.harness.manual_clock import HandClock

TERMS = (90, 60.0)


def allowed(limiter: RecordingLimiter) -> Permit:
    permit = limiter.try_acquire(Lane.BACKLOG)
    assert isinstance(permit, Permit)
    return permit


def test_only_a_refusal_is_reported_and_counted_once_nothing_else_is_under_way(tmp_path: Path) -> None:
    clock = HandClock()
    seen: list[tuple[int, int | None]] = []
    inner = RateLimiter(tmp_path / "budget.db", name="a", limit=90, window=60.0, clock=clock)
    limiter = RecordingLimiter(inner, lambda *given: seen.append(given), counts=True)
    for _ in range(3):
        limiter.release(allowed(limiter), served=True)
    limiter.release(allowed(limiter), sent=False)
    clock.sleep(0.1)
    other = allowed(limiter)
    clock.sleep(0.1)
    refused = allowed(limiter)
    limiter.back_off(None, refused.sent_at)
    limiter.release(refused)
    assert seen == [(1, None)], "the service may have served the other one already"
    limiter.release(other, served=True)
    assert seen == [(1, None), (0, 5)]
    clock.sleep(30.0)
    refused = allowed(limiter)
    limiter.back_off(None, refused.sent_at)
    limiter.release(refused)
    assert seen == [(1, None), (0, 5), (1, 6)]
    clock.sleep(59.0)
    limiter.policy_announced()
    refused = allowed(limiter)
    limiter.back_off(None, refused.sent_at)
    limiter.release(refused)
    assert seen[3:] == [(1, None)], "the service names its limit"
    clock.sleep(10.0)
    limiter.release(allowed(limiter), served=True)
    assert len(seen) == 4
    limiter.close()


def test_what_went_through_is_the_fewest_of_the_last_window_without_those_that_were_refused(tmp_path: Path) -> None:
    for at, answered in ((0.0, None), (2.0, 32), (6.0, 33), (14.0, 35), (70.0, 31)):
        record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, answered, 1e9 + at, 500.0 + at))
    # 32 - 2, 33 - 3, 35 - 4, and in the last window two of the five.
    assert last_refusals(tmp_path, {"a"}) == LimitRefusals(1e9, 1e9 + 70.0, 5, 90, 60.0, 29)
    assert last_refusals(tmp_path, {"b"}) is None
    assert last_refusals(tmp_path, ()) == last_refusals(tmp_path, {"a"})


def test_what_another_program_left_in_an_earlier_window_does_not_count(tmp_path: Path) -> None:
    for at, answered in ((0.0, 4), (2.0, 5), (75.0, 31), (80.0, 33)):
        record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, answered, 1e9 + at, 500.0 + at))
    last = last_refusals(tmp_path, {"a"})
    assert last is not None and (last.count, last.passed) == (4, 30)
    assert "export ASTICA_LIMIT=30" in number_to_set(last)
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, None, 1e9 + 200.0, 700.0))
    assert last_refusals(tmp_path, {"a"}) == LimitRefusals(1e9, 1e9 + 200.0, 5, 90, 60.0, 30)


def test_what_passes_later_is_recorded_until_the_next_refusal(tmp_path: Path) -> None:
    record_passed(tmp_path, "a", TERMS, 50, 1e9 + 100.0)
    assert last_refusals(tmp_path, ()) is None
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, 4, 1e9, 500.0))
    for name, terms, count, since in (
        ("b", TERMS, 50, 100.0),
        ("a", (40, 60.0), 50, 100.0),
        ("a", TERMS, 50, -10.0),
    ):
        record_passed(tmp_path, name, terms, count, 1e9 + since)
    known = last_refusals(tmp_path, ())
    assert known == LimitRefusals(1e9, 1e9, 1, 90, 60.0, 3) and "ASTICA_LIMIT=3" in number_to_set(known)
    # As many pass where the windows of the service and of this machine begin apart.
    record_passed(tmp_path, "a", TERMS, 4, 1e9 + 100.0)
    assert not last_refusals(tmp_path, ()).are_outdated
    record_passed(tmp_path, "a", TERMS, 30, 1e9 + 100.0)
    record_passed(tmp_path, "a", TERMS, 20, 1e9 + 300.0)
    known = last_refusals(tmp_path, ())
    assert known is not None and known.later == 30 and known.are_outdated and number_to_set(known) == ""
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, 4, 1e9 + 400.0, 900.0))
    known = last_refusals(tmp_path, ())
    assert known is not None and (known.later, known.are_outdated, known.passed) == (0, False, 3)


def test_the_most_that_passed_in_one_window_is_reported(tmp_path: Path) -> None:
    clock = HandClock()
    seen: list[tuple[int, float]] = []
    inner = RateLimiter(tmp_path / "budget.db", name="a", limit=90, window=60.0, clock=clock)
    passed = PassedRequests(60.0, clock.ticks, lambda *given: seen.append(given))
    limiter = RecordingLimiter(inner, lambda *_: None, counts=True, passed=passed)

    def send(count: int) -> None:
        for _ in range(count):
            clock.sleep(1.0)
            limiter.release(allowed(limiter), served=True)

    passed.report()
    assert seen == []
    send(3)
    clock.sleep(60.0)
    send(1)
    assert seen == [(3, 63.0)], "the most of a window is reported once it has ended"
    send(5)
    passed.report()
    passed.report()
    assert seen[1:] == [(6, 5.0)]
    refused = allowed(limiter)
    limiter.back_off(None, refused.sent_at)
    limiter.release(refused)
    clock.sleep(limiter.rest())
    send(2)
    passed.report()
    assert seen[2:] == [(2, 1.0)], "what passed before a refusal is forgotten"
    limiter.close()


def test_what_is_counted_later_adds_no_refusal(tmp_path: Path) -> None:
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, None, 1e9, 5.0))
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(0, 31, 1e9 + 1.0, 6.0))
    last = last_refusals(tmp_path, {"a"})
    assert last is not None and (last.count, last.passed) == (1, 30)


@pytest.mark.parametrize(("terms", "later"), [(TERMS, STRETCH_SECONDS + 1.0), ((40, 60.0), 5.0)])
def test_another_stretch_begins_after_an_hour_and_with_another_limit(
    tmp_path: Path, terms: tuple[int, float], later: float
) -> None:
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, 10, 1e9, 500.0))
    record_refusal(tmp_path, "a", terms, SeenRefusals(1, 31, 1e9 + later, 600.0 + later))
    assert last_refusals(tmp_path, {"a"}) == LimitRefusals(1e9 + later, 1e9 + later, 1, *terms, 30)


def test_each_budget_has_its_own_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, None, 1e9, 5.0))
    record_refusal(tmp_path, "b", TERMS, SeenRefusals(1, None, 1e9 + 9.0, 14.0))
    last = last_refusals(tmp_path, ())
    assert last is not None and last.first == 1e9 + 9.0
    record_refusal(tmp_path, "b", TERMS, SeenRefusals(1, None, 1e9 + FORGET_SECONDS + 5.0, 14.0))
    assert set(json.loads((tmp_path / FILE_NAME).read_text())) == {"b"}
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": 3, "b": {}}', '{"a": {"first": 1e999, "last": "x"}}', "[" * 100_000]
)
def test_a_damaged_record_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert last_refusals(tmp_path, ()) is None
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, 4, 1e9, 5.0))
    last = last_refusals(tmp_path, ())
    assert last is not None and (last.count, last.passed) == (1, 3)


def test_a_record_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    record_refusal(tmp_path / "none", "a", TERMS, SeenRefusals(1, 4, 1e9, 5.0))
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    record_refusal(tmp_path, "a", TERMS, SeenRefusals(1, 4, 1e9, 5.0))
    assert not (tmp_path / "elsewhere").exists() and not (tmp_path / FILE_NAME).is_symlink()


@pytest.mark.parametrize("passed", [None, 0, 90, 120])
def test_no_number_is_named_where_none_is_known(passed: int | None) -> None:
    assert number_to_set(LimitRefusals(0.0, 1.0, 3, 90, 60.0, passed)) == ""
    assert "export ASTICA_LIMIT=30" in number_to_set(LimitRefusals(0.0, 1.0, 3, 90, 60.0, 30))
