"""When the watcher does what; time is an argument."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.watch.scheduler import (
    FOREIGN_GAP,
    MAX_RETRY,
    POLL_SHARE,
    ROUND_GAP,
    Scheduler,
    WatchAction,
    poll_interval,
    retry_delay,
)


@given(st.integers(0, 10_000))
def test_retry_delays_grow_and_never_exceed_five_minutes(failures: int) -> None:
    assert retry_delay(failures) <= retry_delay(failures + 1) <= MAX_RETRY
    assert retry_delay(1) == 2.0


@given(st.floats(0, 1000))
def test_polling_takes_a_fiftieth_of_the_time_at_most(cost: float) -> None:
    assert cost <= POLL_SHARE * poll_interval(cost) + 1e-9


def test_an_event_is_scanned_soon_and_many_events_take_a_tenth_of_the_time() -> None:
    schedule = Scheduler(900.0, round_at=1e9)
    schedule.changed(0.0)
    assert schedule.next_action(0.05, backlog=False) == (WatchAction.WAIT, 0.1)
    assert schedule.next_action(0.1, backlog=True) == (WatchAction.SCAN, 0.1)
    schedule.scan_done(2.1, cost=2.0)
    schedule.changed(2.2)
    assert schedule.next_action(22.0, backlog=False)[0] is WatchAction.WAIT
    assert schedule.next_action(22.2, backlog=False)[0] is WatchAction.SCAN


def test_a_change_is_scanned_before_the_next_batch_of_the_backlog() -> None:
    schedule = Scheduler(900.0, round_at=1e9)
    assert schedule.next_action(0.0, backlog=True)[0] is WatchAction.SEND
    schedule.changed(0.0)
    assert schedule.next_action(0.0, backlog=True) == (WatchAction.WAIT, 0.1)
    assert schedule.next_action(0.1, backlog=True)[0] is WatchAction.SCAN
    schedule.scan_done(2.1, cost=2.0)
    schedule.changed(2.2)
    assert schedule.next_action(2.2, backlog=True)[0] is WatchAction.SEND, (
        "a scan that is due much later delays nothing"
    )


def test_a_long_scan_of_the_whole_store_does_not_delay_the_next_scan() -> None:
    schedule = Scheduler(900.0)
    schedule.round_done(100.0, cost=30.0, scan_cost=20.0)
    schedule.changed(101.0)
    assert schedule.next_action(101.2, backlog=False)[0] is WatchAction.SCAN


def test_rounds_keep_a_gap_and_one_is_due_when_nothing_happens() -> None:
    schedule = Scheduler(900.0)
    assert schedule.next_action(0.0, backlog=False)[0] is WatchAction.ROUND
    schedule.round_done(1.0, cost=0.1, scan_cost=0.1)
    schedule.request_round(1.0)
    assert schedule.next_action(1.0, backlog=False) == (WatchAction.WAIT, 1.0 + ROUND_GAP)
    schedule.round_done(3.0, cost=0.1, scan_cost=0.1)
    assert schedule.next_action(4.0, backlog=False) == (WatchAction.WAIT, 903.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["changed", "request", "scan", "round"])), max_size=30))
def test_an_action_is_always_due_within_the_interval(steps: list[tuple[float, str]]) -> None:
    schedule = Scheduler(900.0)
    now = 0.0
    for pause, step in steps:
        now += pause
        match step:
            case "changed":
                schedule.changed(now)
            case "request":
                schedule.request_round(now)
            case "scan":
                schedule.scan_done(now, 0.1)
            case "round":
                schedule.round_done(now, 0.1, 0.1)
    action, at = schedule.next_action(now, backlog=False)
    assert action is not WatchAction.WAIT or now < at <= now + 900.0
    assert schedule.next_action(at, backlog=False)[0] is not WatchAction.WAIT


def test_the_next_scan_is_the_earliest_requested_one() -> None:
    schedule = Scheduler(observe_every=900.0)
    schedule.request_scan(50.0)
    schedule.request_scan(70.0)
    assert schedule.scan_at == 50.0
    schedule.request_scan(40.0)
    assert schedule.scan_at == 40.0


def test_what_another_process_has_scanned_leads_to_one_round_soon() -> None:
    schedule = Scheduler(900.0)
    schedule.index_has("one", 0.0)
    schedule.round_done(0.0, cost=0.1, scan_cost=0.1)
    schedule.index_has("one", 100.0)
    assert schedule.next_action(100.0, backlog=False) == (WatchAction.WAIT, 900.0)
    schedule.index_has("two", 100.0)
    assert schedule.next_action(100.0, backlog=False)[0] is WatchAction.ROUND
    schedule.round_done(100.0, cost=0.1, scan_cost=0.1)
    schedule.index_has("two", 100.1)
    assert schedule.next_action(100.1, backlog=False) == (WatchAction.WAIT, 1000.0)
    # A long scan finds something each second.
    schedule.index_has("three", 101.0)
    schedule.index_has("four", 102.0)
    assert schedule.next_action(102.0, backlog=False) == (WatchAction.WAIT, 100.0 + FOREIGN_GAP)
