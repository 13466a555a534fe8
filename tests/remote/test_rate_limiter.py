"""Promise 6: over all threads and processes, the service never receives more requests than its limit."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import DatabaseError, Interrupted
from astica_sync.remote.client import parse_policy
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
def open_limiter(path: Path, clock: HandClock) -> Iterator[Open]:
    """Opens a rate limiter of 3 requests per 60 seconds, as another process would."""
    opened: list[RateLimiter] = []

    def open_limiter(limit: int = 3, name: str = "k") -> RateLimiter:
        opened.append(RateLimiter(path, name=name, limit=limit, window=60, clock=clock))
        return opened[-1]

    yield open_limiter
    for limiter in opened:
        limiter.close()


@pytest.fixture
def limiter(open_limiter: Open) -> RateLimiter:
    return open_limiter()


def take(limiter: RateLimiter, lane: Lane = Lane.BACKLOG) -> Permit:
    found = limiter.try_acquire(lane)
    assert isinstance(found, Permit), found
    return found


def refused(limiter: RateLimiter, lane: Lane = Lane.BACKLOG) -> float:
    found = limiter.try_acquire(lane)
    assert isinstance(found, Wait), found
    return found.seconds


def test_as_many_requests_as_the_limit_start_immediately_and_the_next_waits(
    limiter: RateLimiter, clock: HandClock
) -> None:
    permits = [take(limiter) for _ in range(3)]
    assert refused(limiter) == 60
    clock.time += 5
    limiter.release(permits[0])
    assert refused(limiter) == 60
    clock.time += 59
    assert refused(limiter) == 1
    clock.time += 1
    take(limiter)
    assert refused(limiter) > 0


def test_processes_share_one_limit(open_limiter: Open) -> None:
    first, second = open_limiter(), open_limiter()
    take(first)
    take(second)
    take(first)
    assert refused(second) == 60
    assert (first.used(), second.used()) == (3, 3)


def test_each_key_and_endpoint_has_its_own_limit(open_limiter: Open) -> None:
    first, second = open_limiter(limit=1, name="a"), open_limiter(limit=1, name="b")
    take(first)
    take(second)
    assert refused(first) == 60


def test_a_request_that_is_never_released_counts_until_its_timeout_and_a_window(
    limiter: RateLimiter, clock: HandClock
) -> None:
    for _ in range(3):
        limiter.try_acquire(Lane.BACKLOG, timeout_s=30)
    clock.time += 89
    assert refused(limiter) == 1
    clock.time += 1
    take(limiter)


def test_a_longer_request_counts_longer(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=1)
    permit = take(limiter)
    longer = limiter.extend(permit, permit.timeout_at + 100)
    assert longer is not None
    clock.time = permit.timeout_at + 60
    assert refused(limiter) == 60
    clock.time = longer.timeout_at + 60
    take(limiter)


def test_a_permit_that_is_used_too_late_is_void(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=1)
    permit = take(limiter)
    clock.time = permit.timeout_at + 60
    other = take(limiter)
    assert limiter.extend(permit, clock.time + 30) is None
    assert limiter.extend(other, clock.time + 30) == other


def test_an_unused_permit_frees_its_place(open_limiter: Open) -> None:
    limiter = open_limiter(limit=1)
    limiter.release(take(limiter), sent=False)
    take(limiter)


def test_a_second_release_has_no_effect(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=1)
    permit = take(limiter)
    limiter.release(permit)
    clock.time += 50
    limiter.release(permit)
    limiter.release(permit, sent=False)
    assert refused(limiter) == 10


def test_higher_lanes_go_first(open_limiter: Open, clock: HandClock) -> None:
    backlog, removal, person = open_limiter(limit=1), open_limiter(limit=1), open_limiter(limit=1)
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


def test_a_place_is_kept_for_each_waiting_request_of_a_higher_lane(open_limiter: Open, clock: HandClock) -> None:
    first, second = open_limiter(), open_limiter()
    for _ in range(3):
        first.release(take(first))
    refused(second, Lane.INTERACTIVE)
    clock.time += 60
    take(first)
    take(first)
    assert refused(first) > 0
    take(second, Lane.INTERACTIVE)


def test_a_dead_waiting_process_keeps_its_place_only_for_a_short_time(open_limiter: Open, clock: HandClock) -> None:
    dead, alive = open_limiter(limit=1), open_limiter(limit=1)
    alive.release(take(alive))
    refused(dead, Lane.INTERACTIVE)
    clock.time += 60
    assert 0 < refused(alive) <= 1
    clock.time += 1
    take(alive)


def test_acquire_waits_exactly_as_long_as_needed_and_reports_it(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=1)
    limiter.release(take(limiter))
    clock.time += 20
    said: list[tuple[float, str]] = []
    permit = limiter.acquire(Lane.INTERACTIVE, on_wait=lambda seconds, why: said.append((seconds, why)))
    assert permit.sent_at == 10_060
    assert said == [(40, "the request limit of the service")]


def test_acquire_is_interrupted_by_a_stop(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=1)
    take(limiter)
    clock.stopped = True
    with pytest.raises(Interrupted):
        limiter.acquire(Lane.INTERACTIVE)


def test_a_refusal_blocks_all_requests_longer_each_time(open_limiter: Open, clock: HandClock) -> None:
    first, second = open_limiter(limit=99), open_limiter(limit=99)
    rests = []
    for _ in range(7):
        permit = take(first)
        rests.append(first.back_off(None, permit.sent_at))
        first.release(permit)
        assert refused(second) == rests[-1]
        clock.time += rests[-1]
    assert rests == [2, 4, 8, 16, 32, LONGEST_BACK_OFF, LONGEST_BACK_OFF]


def test_refusals_of_concurrent_requests_count_once(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=99)
    permits = [take(limiter) for _ in range(8)]
    clock.time += 1
    assert [limiter.back_off(None, permit.sent_at) for permit in permits] == [2] * 8
    clock.time += 5
    assert limiter.back_off(None, permits[0].sent_at) == 0


def test_a_served_request_resets_the_back_off(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=99)
    early = take(limiter)
    for _ in range(3):
        clock.time += 1 + limiter.back_off()
    limiter.release(early, served=True)
    assert limiter.back_off() == 16
    clock.time += 16
    limiter.release(take(limiter), served=True)
    assert limiter.back_off() == 2


def test_retry_after_is_obeyed_up_to_a_maximum(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=99)
    assert limiter.back_off(7) == 7
    assert limiter.back_off(3) == 7
    clock.time += 7
    assert limiter.back_off(1e9) == LONGEST_RETRY_AFTER


def test_a_retry_after_of_zero_is_not_obeyed(limiter: RateLimiter) -> None:
    assert limiter.back_off(0) >= 2


def test_requests_from_before_a_restart_of_the_machine_still_count(open_limiter: Open, clock: HandClock) -> None:
    before = open_limiter()
    before.release(take(before))
    take(before)
    before.back_off(3000)
    clock.time = 5.0
    after = open_limiter()
    assert after.used() == 2
    take(after)
    assert refused(after) == 55
    clock.time = 60.0
    assert after.used() == 1
    take(after)


def test_the_file_does_not_grow(open_limiter: Open, path: Path, clock: HandClock) -> None:
    limiter = open_limiter()
    for _ in range(120):
        permit = limiter.acquire(Lane.REMOVAL)
        clock.time += 1
        limiter.release(permit)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM request").fetchone()[0] < 20
        assert connection.execute("SELECT count(*) FROM waiting").fetchone()[0] < 5
    connection.close()


def test_the_forecast_includes_used_places_and_the_latency(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter()
    assert limiter.forecast(1) == 0.5
    permit = take(limiter)
    clock.time += 4
    limiter.release(permit)
    assert limiter.forecast(2) == 4
    assert limiter.forecast(3) == 64
    limiter.back_off(100)
    assert limiter.forecast(1) == 104
    assert limiter.forecast(0) == 0


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
def test_a_damaged_file_is_moved_away_and_counts_as_full(
    kind: str, open_limiter: Open, path: Path, clock: HandClock
) -> None:
    limiter = open_limiter()
    take(limiter)
    limiter.close()
    GARBAGE[kind](path)
    assert refused(limiter) == 120
    assert refused(open_limiter()) == 120
    assert path.with_name("budget.sqlite.damaged").exists()
    clock.time += 120
    take(limiter)


def test_a_deleted_file_counts_as_full(limiter: RateLimiter, open_limiter: Open, path: Path) -> None:
    take(limiter)
    path.unlink()
    assert refused(limiter) == 120
    assert refused(open_limiter()) == 120


def test_the_journal_of_a_deleted_file_is_not_applied_to_the_new_one(
    limiter: RateLimiter, open_limiter: Open, path: Path
) -> None:
    take(limiter)
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
    assert refused(limiter) == 120
    assert refused(open_limiter()) == 120


def test_a_new_file_does_not_wait(open_limiter: Open) -> None:
    take(open_limiter())


def test_a_file_lost_before_a_restart_blocks_from_the_restart_on(
    limiter: RateLimiter, path: Path, clock: HandClock
) -> None:
    take(limiter)
    path.unlink()
    refused(limiter)
    clock.time = 20.0
    assert refused(limiter) == 100


def test_a_file_that_another_process_replaced_is_opened(limiter: RateLimiter, open_limiter: Open, path: Path) -> None:
    take(limiter)
    path.rename(path.with_name("elsewhere"))
    other = open_limiter()
    take(other)
    assert limiter.used() == 1
    limiter.release(take(limiter))


def test_the_same_number_in_a_replaced_file_is_another_request(
    limiter: RateLimiter, open_limiter: Open, path: Path, clock: HandClock
) -> None:
    old = take(limiter)
    path.rename(path.with_name("elsewhere"))
    clock.time += 1
    other = open_limiter()
    take(other)
    limiter.release(old, sent=False)
    assert other.used() == 1
    limiter.release(old)
    clock.time += 70
    assert other.used() == 1


def test_a_file_of_a_newer_version_is_not_changed(open_limiter: Open, path: Path) -> None:
    open_limiter().used()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="newer version"):
        open_limiter().try_acquire(Lane.INTERACTIVE)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "file").write_text("no folder")
    limiter = RateLimiter(tmp_path / "file" / "limiter", name="k", limit=1, window=60, clock=clock)
    with pytest.raises(DatabaseError, match="cannot be used"):
        limiter.try_acquire(Lane.INTERACTIVE)


def test_release_ignores_a_file_that_cannot_be_written(limiter: RateLimiter, path: Path, tmp_path: Path) -> None:
    permit = take(limiter)
    path.unlink()
    path.mkdir()
    limiter.release(permit)


def test_threads_of_one_process_share_the_limit(open_limiter: Open) -> None:
    limiter = open_limiter(limit=10)
    found: list[Permit | Wait] = []
    threads = [threading.Thread(target=lambda: found.append(limiter.try_acquire(Lane.BACKLOG))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Permit) for one in found) == 10


def test_a_forked_child_is_refused(limiter: RateLimiter) -> None:
    take(limiter)
    child = os.fork()
    if child == 0:
        try:
            limiter.used()
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


SENDER = """
import sys, time
from pathlib import Path
from astica_sync.clock import SystemClock
from astica_sync.clock import SystemClock
from astica_sync.core.rate_limit import Lane
from astica_sync.remote.rate_limiter import RateLimiter

path, log, count, limit, window, latency = sys.argv[1:]
clock = SystemClock()
limiter = RateLimiter(Path(path), name="k", limit=int(limit), window=float(window), clock=clock)
print("ready", flush=True)
sys.stdin.readline()
with open(log, "a", buffering=1) as file:
    for number in range(int(count)):
        permit = limiter.acquire(Lane(number % 3), 1.0)
        time.sleep(float(latency) * (number % 4))
        file.write(f"{time.monotonic()!r}\\n")
        time.sleep(float(latency) * (number % 3))
        limiter.release(permit, served=True)
"""


def start_sender(path: Path, log: Path, count: int, limit: int, window: float) -> "subprocess.Popen[str]":
    """A process that sends ``count`` requests as fast as the rate limiter allows, and logs their times."""
    return subprocess.Popen(
        [sys.executable, "-c", SENDER, path, log, str(count), str(limit), str(window), "0.003"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def most_in_a_window(times: list[float], window: float) -> int:
    times = sorted(times)
    return max(sum(time <= other < time + window for other in times) for time in times)


def test_four_busy_processes_stay_under_the_limit_and_one_may_be_killed(tmp_path: Path) -> None:
    limit, window = 10, 0.25
    logs = [tmp_path / f"log{number}" for number in range(4)]
    processes = [start_sender(tmp_path / "limiter", log, 15, limit, window) for log in logs]
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
    times = [float(line) for log in logs for line in log.read_text().splitlines()]
    assert len(times) >= 50
    assert most_in_a_window(times, window) <= limit


@pytest.mark.parametrize("kind", ["text", "zeros", "half", "no tables"])
def test_damage_to_an_open_file_is_noticed(kind: str, limiter: RateLimiter, open_limiter: Open, path: Path) -> None:
    take(limiter)
    GARBAGE[kind](path)
    assert refused(limiter) == 120
    assert refused(open_limiter()) == 120


def test_a_damaged_file_that_cannot_be_replaced_is_an_error(open_limiter: Open, path: Path) -> None:
    take(open_limiter())
    GARBAGE["text"](path)
    path.with_name("budget.sqlite.new").mkdir()
    with pytest.raises(DatabaseError, match="cannot be used"):
        open_limiter().try_acquire(Lane.INTERACTIVE)


def test_a_damaged_file_is_replaced_once_by_concurrent_processes(open_limiter: Open, path: Path) -> None:
    take(open_limiter())
    GARBAGE["text"](path)
    limiters = [open_limiter() for _ in range(4)]
    found: list[Permit | Wait] = []
    threads = [
        threading.Thread(target=lambda limiter: found.append(limiter.try_acquire(Lane.BACKLOG)), args=(limiter,))
        for limiter in limiters
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"default";q=20;w=60', (20, 60.0)),
        ('"burst";q=5;w=1, "day";q=1000;w=86400', (5, 1.0)),
        ('"default";q=20', None),
        ("", None),
        ("q=;w=", None),
        ("20", None),
        ("q=99999999999;w=60", None),
        ("x" * 10_000 + "q=1;w=1", None),
    ],
)
def test_what_a_service_says_of_its_limit_is_read(text: str, found: tuple[int, float] | None) -> None:
    assert parse_policy(text) == found


@pytest.mark.parametrize(
    ("follows", "said", "then"),
    [
        (False, (20, 60.0), 20),
        (False, (1000, 60.0), 90),
        (False, (90, 600.0), 90),
        (True, (1000, 60.0), 1000),
        (True, (20, 60.0), 20),
        (True, (0, 60.0), 90),
        (True, (20, 0.0), 90),
        (True, (20, 1e9), 90),
    ],
)
def test_only_a_lower_limit_of_the_service_holds_unless_it_is_followed(
    tmp_path: Path, follows: bool, said: tuple[int, float], then: int
) -> None:
    limiter = RateLimiter(tmp_path / "budget.db", name="n", limit=90, window=60.0, clock=SystemClock(), follows=follows)
    with contextlib.closing(limiter):
        limiter.take_policy(*said)
        assert limiter.limit == then
