"""The file of the rate limiter: lost, damaged, of before a restart, of many processes (promise 6).

What it does as every other rate limiter does is in ``test_limiter_contract``."""

import contextlib
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
from astica_sync.errors import DatabaseError
from astica_sync.remote.client import parse_policy
from astica_sync.remote.rate_limiter import Permit, RateLimiter, Wait
from tests.harness.manual_clock import HandClock
from tests.remote.test_limiter_contract import refused, take

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

    def open_limiter() -> RateLimiter:
        opened.append(RateLimiter(path, name="k", limit=3, window=60, clock=clock))
        return opened[-1]

    yield open_limiter
    for limiter in opened:
        limiter.close()


@pytest.fixture
def limiter(open_limiter: Open) -> RateLimiter:
    return open_limiter()


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


def test_after_a_refusal_one_request_finds_out_before_the_others_leave(path: Path, clock: HandClock) -> None:
    """The service's limit is lower than the one that is known, or another machine spends it too."""
    limiters = [RateLimiter(path, name="k", limit=90, window=60, clock=clock) for _ in range(2)]

    def leave_now() -> list[Permit]:
        permits = []
        while len(permits) < 30:
            asked = limiters[len(permits) % 2].try_acquire(Lane.BACKLOG)
            if isinstance(asked, Wait):
                assert 0 < asked.seconds <= 0.5
                return permits
            permits.append(asked)
        return permits

    bunch = leave_now()
    assert len(bunch) == 30
    for pause in (2.0, 4.0):
        clock.time += 1
        for permit in bunch:
            assert limiters[0].back_off(sent_at=permit.sent_at) == pause
            limiters[0].release(permit)
        clock.time += pause
        bunch = leave_now()
        assert len(bunch) == 1
    sent = bunch
    for number in range(6):
        limiters[0].release(sent.pop(0), served=True)
        sent += leave_now()
        assert len(sent) == 1 + (number + 1) // 2
    # Refused again: from the beginning, after a short pause.
    clock.time += 1
    assert limiters[0].back_off(sent_at=sent[0].sent_at) == 2.0
    for permit in sent:
        limiters[0].release(permit)
    clock.time += 2
    assert len(leave_now()) == 1
    # One that is never answered holds the others for a window at most.
    clock.time += 60
    assert len(leave_now()) == 30
    for limiter in limiters:
        limiter.close()


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


SENDER = """
import sys, time
from pathlib import Path
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


@pytest.mark.long
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
    ("said", "then"), [((1000, 60.0), 1000), ((20, 60.0), 20), ((0, 60.0), 90), ((20, 0.0), 90), ((20, 1e9), 90)]
)
def test_a_higher_limit_of_a_service_that_is_followed_holds(tmp_path: Path, said: tuple[int, float], then: int) -> None:
    limiter = RateLimiter(tmp_path / "budget.db", name="n", limit=90, window=60.0, clock=SystemClock(), follows=True)
    with contextlib.closing(limiter):
        limiter.take_policy(*said)
        assert limiter.limit == then
