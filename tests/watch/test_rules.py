"""When the watcher does what: pure rules, so time is whatever the test says."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.plan.plan import Upload
from astica_sync.core.view.hash_set import HashSet
from astica_sync.core.watch.debounce import OPEN_TIMEOUT, Debouncer
from astica_sync.core.watch.scheduler import (
    MAX_RETRY,
    POLL_SHARE,
    ROUND_GAP,
    Scheduler,
    WatchAction,
    poll_interval,
    retry_delay,
)
from astica_sync.core.watch.upload_queue import OLDEST_EVERY, UploadQueue


def upload(number: int, scope: str = "00000000") -> Upload:
    return Upload(f"{number:032x}-{scope}", "Can", f"Can/{number}.png", 1)


def numbers(uploads: list[Upload]) -> list[int]:
    return [int(entry.uid[:32], 16) for entry in uploads]


def test_the_newest_goes_first_and_every_fourth_place_goes_to_the_one_that_waited_longest() -> None:
    backlog = UploadQueue()
    backlog.add(upload(number) for number in range(10))
    assert numbers(backlog.take(5)) == [9, 8, 7, 0, 6]
    backlog.add([upload(100)])
    assert numbers(backlog.take(4)) == [100, 5, 1, 4]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_nobody_waits_for_ever_however_many_newer_ones_keep_coming(waiting: int, piece: int, coming: int) -> None:
    backlog = UploadQueue()
    backlog.add(upload(number) for number in range(waiting))
    seen: set[int] = set()
    fresh = 1000
    for _ in range(waiting * OLDEST_EVERY + 1):
        seen.update(numbers(backlog.take(piece)))
        backlog.add(upload(fresh + extra) for extra in range(coming))
        fresh += coming
    assert seen >= set(range(waiting))


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "discard"]), st.integers(0, 12))))
def test_each_sample_is_taken_once_for_each_time_it_was_added(steps: list[tuple[str, int]]) -> None:
    backlog = UploadQueue()
    waiting: set[int] = set()
    for step, number in steps:
        if step == "add":
            backlog.add([upload(number)])
            waiting.add(number)
        elif step == "discard":
            backlog.discard([upload(number).uid])
            waiting.discard(number)
        else:
            taken = numbers(backlog.take(number % 3))
            assert len(set(taken)) == len(taken) and set(taken) <= waiting
            waiting -= set(taken)
        assert len(backlog) == len(waiting)
        assert all(upload(number).uid in backlog for number in waiting)


@given(st.sets(st.integers(0, 2**128 - 1), max_size=50), st.integers(0, 2**128 - 1))
def test_contents_are_found_by_what_a_uid_begins_with(shown: set[int], other: int) -> None:
    contents = HashSet([*(f"{number:032x}-12345678" for number in shown), "not-ours", f"{'g' * 32}-00000000"])
    assert len(contents) == len(shown)
    assert all(f"{number:032x}" in contents for number in shown)
    assert (f"{other:032x}" in contents) == (other in shown)


def test_a_closed_file_counts_at_once() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("a", 10.0)
    assert debouncer.quiet_at("a", 1, age=5.0, now=10.5) == 10.0 + OPEN_TIMEOUT
    debouncer.closed("a", 11.0)
    assert debouncer.quiet_at("a", 1, age=0.0, now=11.0) == 11.0
    assert len(debouncer) == 0


def test_a_file_that_is_open_for_hours_counts_only_when_it_was_long_unchanged() -> None:
    debouncer = Debouncer(1.0)
    for now in range(0, 7200, 60):
        debouncer.written("a", float(now))
        assert debouncer.quiet_at("a", now, age=3600.0, now=now + 59.0) > now + 59.0
    assert debouncer.quiet_at("a", 0, age=0.0, now=7140.0 + OPEN_TIMEOUT) <= 7140.0 + OPEN_TIMEOUT


def test_without_a_word_a_file_counts_once_its_face_has_not_changed_for_a_moment() -> None:
    debouncer = Debouncer(1.0)
    assert debouncer.quiet_at("old", "x", age=3600.0, now=0.0) == 0.0
    assert debouncer.quiet_at("a", "x", age=0.1, now=0.0) == 1.0
    assert debouncer.quiet_at("a", "y", age=0.1, now=0.9) == 1.9
    assert debouncer.quiet_at("a", "y", age=0.1, now=1.9) == 1.9
    assert len(debouncer) == 0


def test_a_file_system_whose_clock_is_ahead_only_asks_for_a_second_look() -> None:
    debouncer = Debouncer(1.0)
    assert debouncer.quiet_at("a", "x", age=-500.0, now=0.0) == 1.0
    assert debouncer.quiet_at("a", "x", age=-499.0, now=1.0) == 1.0


def test_whoever_writes_a_file_goes_on_when_it_is_renamed() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("temp", 0.0)
    debouncer.moved("temp", "a", 1.0)
    assert debouncer.quiet_at("a", "x", age=9.0, now=2.0) > 2.0
    debouncer.closed("temp2", 0.0)
    debouncer.moved("temp2", "b", 1.0)
    assert debouncer.quiet_at("b", "x", age=0.0, now=1.0) == 1.0


def test_what_nobody_asks_for_is_forgotten() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("a", 0.0)
    debouncer.quiet_at("b", "x", age=0.0, now=0.0)
    debouncer.forget_before(0.5)
    assert len(debouncer) == 0


@given(st.integers(0, 10_000))
def test_rests_grow_and_never_exceed_five_minutes(failures: int) -> None:
    assert retry_delay(failures) <= retry_delay(failures + 1) <= MAX_RETRY
    assert retry_delay(1) == 2.0


@given(st.floats(0, 1000))
def test_looking_of_its_own_accord_costs_a_fiftieth_of_the_time_at_most(cost: float) -> None:
    assert cost <= POLL_SHARE * poll_interval(cost) + 1e-9


def test_an_event_is_looked_at_in_a_moment_and_a_storm_of_them_costs_a_tenth_of_the_time() -> None:
    schedule = Scheduler(900.0, round_at=1e9)
    schedule.changed(0.0)
    assert schedule.next_action(0.05, backlog=False) == (WatchAction.WAIT, 0.1)
    assert schedule.next_action(0.1, backlog=True) == (WatchAction.SCAN, 0.1)
    schedule.scan_done(2.1, cost=2.0)
    schedule.changed(2.2)
    assert schedule.next_action(22.0, backlog=False)[0] is WatchAction.WAIT
    assert schedule.next_action(22.2, backlog=False)[0] is WatchAction.SCAN


def test_a_new_file_is_looked_at_before_the_backlog_goes_on() -> None:
    schedule = Scheduler(900.0, round_at=1e9)
    assert schedule.next_action(0.0, backlog=True)[0] is WatchAction.SEND
    schedule.changed(0.0)
    assert schedule.next_action(0.0, backlog=True) == (WatchAction.WAIT, 0.1)
    assert schedule.next_action(0.1, backlog=True)[0] is WatchAction.SCAN
    schedule.scan_done(2.1, cost=2.0)
    schedule.changed(2.2)
    assert schedule.next_action(2.2, backlog=True)[0] is WatchAction.SEND, (
        "a look that is due much later keeps nothing waiting"
    )


def test_a_long_scan_of_the_whole_store_does_not_keep_the_next_file_waiting() -> None:
    schedule = Scheduler(900.0)
    schedule.round_done(100.0, cost=30.0, scan_cost=20.0)
    schedule.changed(101.0)
    assert schedule.next_action(101.2, backlog=False)[0] is WatchAction.SCAN


def test_rounds_keep_a_distance_and_one_comes_when_nothing_happens() -> None:
    schedule = Scheduler(900.0)
    assert schedule.next_action(0.0, backlog=False)[0] is WatchAction.ROUND
    schedule.round_done(1.0, cost=0.1, scan_cost=0.1)
    schedule.request_round(1.0)
    assert schedule.next_action(1.0, backlog=False) == (WatchAction.WAIT, 1.0 + ROUND_GAP)
    schedule.round_done(3.0, cost=0.1, scan_cost=0.1)
    assert schedule.next_action(4.0, backlog=False) == (WatchAction.WAIT, 903.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["touched", "round", "looked", "rounded"])), max_size=30))
def test_something_is_always_due_in_the_end(steps: list[tuple[float, str]]) -> None:
    schedule = Scheduler(900.0)
    now = 0.0
    for pause, step in steps:
        now += pause
        match step:
            case "touched":
                schedule.changed(now)
            case "round":
                schedule.request_round(now)
            case "looked":
                schedule.scan_done(now, 0.1)
            case "rounded":
                schedule.round_done(now, 0.1, 0.1)
    action, at = schedule.next_action(now, backlog=False)
    assert action is not WatchAction.WAIT or now < at <= now + 900.0
    assert schedule.next_action(at, backlog=False)[0] is not WatchAction.WAIT
