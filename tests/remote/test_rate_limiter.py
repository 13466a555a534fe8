"""Promise 6: over all threads and processes, the service never sees more than its limit."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync.core.rate_limit import Lane
from astica_sync.errors import DatabaseError, Interrupted
from astica_sync.remote.rate_limiter import LONGEST_BACK_OFF, LONGEST_RETRY_AFTER, Permit, RateLimiter, Wait
from tests.harness.manual_clock import HandClock

Open = Callable[..., RateLimiter]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "budget.sqlite"


@pytest.fixture
def open_budget(path: Path, clock: HandClock) -> Iterator[Open]:
    """Opens a budget of 3 per 60 seconds, as one more process would."""
    opened: list[RateLimiter] = []

    def open_budget(limit: int = 3, name: str = "k") -> RateLimiter:
        opened.append(RateLimiter(path, name=name, limit=limit, window=60, clock=clock))
        return opened[-1]

    yield open_budget
    for budget in opened:
        budget.close()


@pytest.fixture
def budget(open_budget: Open) -> RateLimiter:
    return open_budget()


def take(budget: RateLimiter, lane: Lane = Lane.BACKLOG) -> Permit:
    found = budget.try_acquire(lane)
    assert isinstance(found, Permit), found
    return found


def refused(budget: RateLimiter, lane: Lane = Lane.BACKLOG) -> float:
    found = budget.try_acquire(lane)
    assert isinstance(found, Wait), found
    return found.seconds


def test_the_whole_limit_may_leave_at_once_and_the_next_waits_for_the_first_answer(
    budget: RateLimiter, clock: HandClock
) -> None:
    permits = [take(budget) for _ in range(3)]
    assert refused(budget) == 60
    clock.time += 5
    budget.release(permits[0])
    assert refused(budget) == 60
    clock.time += 59
    assert refused(budget) == 1
    clock.time += 1
    take(budget)
    assert refused(budget) > 0


def test_processes_share_one_budget(open_budget: Open) -> None:
    first, second = open_budget(), open_budget()
    take(first)
    take(second)
    take(first)
    assert refused(second) == 60
    assert (first.used(), second.used()) == (3, 3)


def test_keys_and_endpoints_have_budgets_of_their_own(open_budget: Open) -> None:
    first, second = open_budget(limit=1, name="a"), open_budget(limit=1, name="b")
    take(first)
    take(second)
    assert refused(first) == 60


def test_a_request_that_is_never_finished_counts_until_its_time_out_and_a_window(
    budget: RateLimiter, clock: HandClock
) -> None:
    for _ in range(3):
        budget.try_acquire(Lane.BACKLOG, timeout_s=30)
    clock.time += 89
    assert refused(budget) == 1
    clock.time += 1
    take(budget)


def test_a_longer_request_counts_longer(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=1)
    permit = take(budget)
    longer = budget.extend(permit, permit.timeout_at + 100)
    assert longer is not None
    clock.time = permit.timeout_at + 60
    assert refused(budget) == 60
    clock.time = longer.timeout_at + 60
    take(budget)


def test_a_permit_that_lay_too_long_is_void(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=1)
    permit = take(budget)
    clock.time = permit.timeout_at + 60
    other = take(budget)
    assert budget.extend(permit, clock.time + 30) is None
    assert budget.extend(other, clock.time + 30) == other


def test_a_permit_that_was_not_used_gives_its_place_back(open_budget: Open) -> None:
    budget = open_budget(limit=1)
    budget.release(take(budget), sent=False)
    take(budget)


def test_a_request_is_finished_once(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=1)
    permit = take(budget)
    budget.release(permit)
    clock.time += 50
    budget.release(permit)
    budget.release(permit, sent=False)
    assert refused(budget) == 10


def test_higher_lanes_go_first(open_budget: Open, clock: HandClock) -> None:
    backlog, removal, person = open_budget(limit=1), open_budget(limit=1), open_budget(limit=1)
    backlog.release(take(backlog))
    assert refused(person, Lane.INTERACTIVE) == 60
    assert refused(removal, Lane.REMOVAL) > 0
    clock.time += 60
    assert refused(backlog) > 0
    assert refused(removal, Lane.REMOVAL) > 0
    person.release(take(person, Lane.INTERACTIVE))
    assert refused(removal, Lane.REMOVAL) == 60
    clock.time += 60
    assert refused(backlog) > 0
    take(removal, Lane.REMOVAL)


def test_a_place_is_kept_for_each_that_waits_and_the_rest_may_go(open_budget: Open, clock: HandClock) -> None:
    first, second = open_budget(), open_budget()
    for _ in range(3):
        first.release(take(first))
    refused(second, Lane.INTERACTIVE)
    clock.time += 60
    take(first)
    take(first)
    assert refused(first) > 0
    take(second, Lane.INTERACTIVE)


def test_who_waited_and_died_holds_a_place_only_for_a_moment(open_budget: Open, clock: HandClock) -> None:
    dead, alive = open_budget(limit=1), open_budget(limit=1)
    alive.release(take(alive))
    refused(dead, Lane.INTERACTIVE)
    clock.time += 60
    assert 0 < refused(alive) <= 1
    clock.time += 1
    take(alive)


def test_starting_waits_exactly_as_long_as_needed_and_says_so(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=1)
    budget.release(take(budget))
    clock.time += 20
    said: list[tuple[float, str]] = []
    permit = budget.acquire(Lane.INTERACTIVE, on_wait=lambda seconds, why: said.append((seconds, why)))
    assert permit.sent_at == 10_060
    assert said == [(40, "the request limit of the service")]


def test_starting_ends_when_the_process_is_asked_to_stop(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=1)
    take(budget)
    clock.stopped = True
    with pytest.raises(Interrupted):
        budget.acquire(Lane.INTERACTIVE)


def test_a_refusal_by_the_service_rests_everybody_and_longer_each_time(open_budget: Open, clock: HandClock) -> None:
    first, second = open_budget(limit=99), open_budget(limit=99)
    rests = []
    for _ in range(7):
        permit = take(first)
        rests.append(first.back_off(None, permit.sent_at))
        first.release(permit)
        assert refused(second) == rests[-1]
        clock.time += rests[-1]
    assert rests == [2, 4, 8, 16, 32, LONGEST_BACK_OFF, LONGEST_BACK_OFF]


def test_several_refusals_at_once_are_one(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=99)
    permits = [take(budget) for _ in range(8)]
    clock.time += 1
    assert [budget.back_off(None, permit.sent_at) for permit in permits] == [2] * 8
    clock.time += 5
    assert budget.back_off(None, permits[0].sent_at) == 0


def test_a_request_that_was_served_ends_the_growing(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=99)
    early = take(budget)
    for _ in range(3):
        clock.time += 1 + budget.back_off()
    budget.release(early, served=True)
    assert budget.back_off() == 16
    clock.time += 16
    budget.release(take(budget), served=True)
    assert budget.back_off() == 2


def test_the_services_own_word_on_the_rest_is_kept_within_reason(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget(limit=99)
    assert budget.back_off(7) == 7
    assert budget.back_off(3) == 7
    clock.time += 7
    assert budget.back_off(1e9) == LONGEST_RETRY_AFTER


def test_no_rest_at_all_is_not_believed(budget: RateLimiter) -> None:
    assert budget.back_off(0) >= 2


def test_a_restart_of_the_machine_keeps_counting_what_was_before(open_budget: Open, clock: HandClock) -> None:
    before = open_budget()
    before.release(take(before))
    take(before)
    before.back_off(3000)
    clock.time = 5.0
    after = open_budget()
    assert after.used() == 2
    take(after)
    assert refused(after) == 55
    clock.time = 60.0
    assert after.used() == 1
    take(after)


def test_the_file_does_not_grow(open_budget: Open, path: Path, clock: HandClock) -> None:
    budget = open_budget()
    for _ in range(120):
        permit = budget.acquire(Lane.REMOVAL)
        clock.time += 1
        budget.release(permit)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM request").fetchone()[0] < 20
        assert connection.execute("SELECT count(*) FROM waiting").fetchone()[0] < 5
    connection.close()


def test_the_forecast_knows_what_is_used_and_how_long_answers_take(open_budget: Open, clock: HandClock) -> None:
    budget = open_budget()
    assert budget.forecast(1) == 0.5
    permit = take(budget)
    clock.time += 4
    budget.release(permit)
    assert budget.forecast(2) == 4
    assert budget.forecast(3) == 64
    budget.back_off(100)
    assert budget.forecast(1) == 104
    assert budget.forecast(0) == 0


def empty_database(file: Path) -> None:
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 1")
    connection.close()


GARBAGE: dict[str, Callable[[Path], object]] = {
    "text": lambda file: file.write_bytes(b"this is no database at all, and long enough to be looked at" * 50),
    "zeros": lambda file: file.write_bytes(bytes(8192)),
    "half": lambda file: file.write_bytes(file.read_bytes()[:5000]),
    "broken pages": lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\xff" * (file.stat().st_size - 4096)),
    "no tables": empty_database,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_damaged_file_is_set_aside_and_rests_as_if_it_had_been_full(
    kind: str, open_budget: Open, path: Path, clock: HandClock
) -> None:
    budget = open_budget()
    take(budget)
    budget.close()
    GARBAGE[kind](path)
    assert refused(budget) == 120
    assert refused(open_budget()) == 120
    assert path.with_name("budget.sqlite.damaged").exists()
    clock.time += 120
    take(budget)


def test_a_file_that_vanishes_under_a_process_rests_as_if_it_had_been_full(
    budget: RateLimiter, open_budget: Open, path: Path
) -> None:
    take(budget)
    path.unlink()
    assert refused(budget) == 120
    assert refused(open_budget()) == 120


def test_what_a_killed_process_left_of_a_vanished_file_does_not_get_into_the_new_one(
    budget: RateLimiter, open_budget: Open, path: Path
) -> None:
    take(budget)
    journal = path.with_name("budget.sqlite-journal")
    killed = sqlite3.connect(path, isolation_level=None)
    killed.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN")
    killed.execute("INSERT INTO loss VALUES (0)")
    killed.executemany("INSERT INTO request (budget, sent, lost_at) VALUES (?, 0, 0)", [("x" * 500,)] * 200)
    left_behind = journal.read_bytes()
    killed.execute("ROLLBACK")
    killed.close()
    path.unlink()
    journal.write_bytes(left_behind)
    assert refused(budget) == 120
    assert refused(open_budget()) == 120


def test_a_new_file_starts_at_once(open_budget: Open) -> None:
    take(open_budget())


def test_a_loss_before_the_machine_restarted_rests_from_the_restart_on(
    budget: RateLimiter, path: Path, clock: HandClock
) -> None:
    take(budget)
    path.unlink()
    refused(budget)
    clock.time = 20.0
    assert refused(budget) == 100


def test_a_file_that_another_process_replaced_is_found(budget: RateLimiter, open_budget: Open, path: Path) -> None:
    take(budget)
    path.rename(path.with_name("elsewhere"))
    other = open_budget()
    take(other)
    assert budget.used() == 1
    budget.release(take(budget))


def test_the_same_number_in_a_replaced_file_is_another_request(
    budget: RateLimiter, open_budget: Open, path: Path, clock: HandClock
) -> None:
    old = take(budget)
    path.rename(path.with_name("elsewhere"))
    clock.time += 1
    other = open_budget()
    take(other)
    budget.release(old, sent=False)
    assert other.used() == 1
    budget.release(old)
    clock.time += 70
    assert other.used() == 1


def test_a_file_of_a_newer_version_is_left_alone(open_budget: Open, path: Path) -> None:
    open_budget().used()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="newer version"):
        open_budget().try_acquire(Lane.INTERACTIVE)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "file").write_text("no folder")
    budget = RateLimiter(tmp_path / "file" / "budget", name="k", limit=1, window=60, clock=clock)
    with pytest.raises(DatabaseError, match="cannot be used"):
        budget.try_acquire(Lane.INTERACTIVE)


def test_a_request_is_not_lost_for_a_budget_that_cannot_be_written(
    budget: RateLimiter, path: Path, tmp_path: Path
) -> None:
    permit = take(budget)
    path.unlink()
    path.mkdir()
    budget.release(permit)


def test_threads_of_one_process_share_the_limit(open_budget: Open) -> None:
    budget = open_budget(limit=10)
    found: list[Permit | Wait] = []
    threads = [threading.Thread(target=lambda: found.append(budget.try_acquire(Lane.BACKLOG))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Permit) for one in found) == 10


def test_a_forked_child_is_refused(budget: RateLimiter) -> None:
    take(budget)
    child = os.fork()
    if child == 0:
        try:
            budget.used()
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


HAMMER = """
import sys, time
from pathlib import Path
from astica_sync.clock import SystemClock
from astica_sync.core.rate_limit import Lane
from astica_sync.remote.rate_limiter import RateLimiter

path, log, count, limit, window, latency = sys.argv[1:]
clock = SystemClock()
budget = RateLimiter(Path(path), name="k", limit=int(limit), window=float(window), clock=clock)
print("ready", flush=True)
sys.stdin.readline()
with open(log, "a", buffering=1) as file:
    for number in range(int(count)):
        permit = budget.acquire(Lane(number % 3), 1.0)
        time.sleep(float(latency) * (number % 4))
        file.write(f"{time.monotonic()!r}\\n")
        time.sleep(float(latency) * (number % 3))
        budget.release(permit, served=True)
"""


def hammer(path: Path, log: Path, count: int, limit: int, window: float) -> "subprocess.Popen[str]":
    """A process that sends ``count`` requests as fast as the budget allows, and notes when the service saw each."""
    return subprocess.Popen(
        [sys.executable, "-c", HAMMER, path, log, str(count), str(limit), str(window), "0.003"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def most_in_a_window(moments: list[float], window: float) -> int:
    moments = sorted(moments)
    return max(sum(moment <= other < moment + window for other in moments) for moment in moments)


def test_four_processes_that_hammer_one_budget_stay_under_the_limit_and_one_may_be_killed(tmp_path: Path) -> None:
    limit, window = 10, 0.25
    logs = [tmp_path / f"log{number}" for number in range(4)]
    processes = [hammer(tmp_path / "budget", log, 15, limit, window) for log in logs]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        while not logs[0].exists() or len(logs[0].read_text().splitlines()) < 5:
            assert processes[0].poll() is None
        processes[0].send_signal(signal.SIGKILL)
        assert [process.wait(60) for process in processes] == [-signal.SIGKILL, 0, 0, 0]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    moments = [float(line) for log in logs for line in log.read_text().splitlines()]
    assert len(moments) >= 50
    assert most_in_a_window(moments, window) <= limit


@pytest.mark.parametrize("kind", ["text", "zeros", "half", "no tables"])
def test_damage_under_a_process_at_work_is_noticed(
    kind: str, budget: RateLimiter, open_budget: Open, path: Path
) -> None:
    take(budget)
    GARBAGE[kind](path)
    assert refused(budget) == 120
    assert refused(open_budget()) == 120


def test_a_damaged_file_that_cannot_be_replaced_is_said(open_budget: Open, path: Path) -> None:
    take(open_budget())
    GARBAGE["text"](path)
    path.with_name("budget.sqlite.new").mkdir()
    with pytest.raises(DatabaseError, match="cannot be used"):
        open_budget().try_acquire(Lane.INTERACTIVE)


def test_several_that_find_the_damage_at_once_replace_the_file_once(open_budget: Open, path: Path) -> None:
    take(open_budget())
    GARBAGE["text"](path)
    budgets = [open_budget() for _ in range(4)]
    found: list[Permit | Wait] = []
    threads = [
        threading.Thread(target=lambda budget: found.append(budget.try_acquire(Lane.BACKLOG)), args=(budget,))
        for budget in budgets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Wait(120)] * 4
    assert path.with_name("budget.sqlite.damaged").read_bytes().startswith(b"this is no database")
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM loss").fetchone() == (1,)
    connection.close()
