"""A process announces itself without costing its requests anything, whatever the server does."""

import threading
import time
from collections.abc import Iterator

import pytest

from astica_sync.core.fleet.announcement import LimitSetting, ProcessTask
from astica_sync.remote.fleet.announcer import LAST_RECORD_SECONDS, Announcer, ProcessFacts
from astica_sync.remote.fleet.fleet_board import BoardRecord, fleet_on
from astica_sync.remote.shared_budget.budget_server import ServerAway

FACTS = ProcessFacts("line-2", ProcessTask("push", "Bottles", 7), LimitSetting(90, 60.0), "/data/lab/Bottles")


class Board:
    """Keeps what is written; ``hangs`` never returns and ``away`` fails."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}
        self.opened = 0
        self.away = False
        self.hangs: threading.Event | None = None
        self.written = threading.Event()

    def open(self) -> "Board":
        self.opened += 1
        return self

    def write(self, name: str, who: str, text: str, gone: str = "") -> None:
        if self.hangs is not None:
            self.hangs.wait(30)
        if self.away:
            raise ServerAway("no connection")
        self.records.pop(gone, None)
        self.records[who] = text
        self.written.set()

    def read(self, name: str) -> list[BoardRecord]:
        return [BoardRecord(text, 0.0) for text in self.records.values()]

    def close(self) -> None:
        pass


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    if made.hangs is not None:
        made.hangs.set()


class Ticks:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_sends_nothing_opens_no_connection(board: Board) -> None:
    announcer = Announcer(board.open, "budget", FACTS, Ticks())
    announcer.close()
    assert board.opened == 0
    assert "announcements" not in {thread.name for thread in threading.enumerate()}


def test_many_requests_are_one_record(board: Board) -> None:
    announcer = Announcer(board.open, "budget", FACTS, time.monotonic)
    for _ in range(5000):
        announcer.request_sent()
    assert board.written.wait(10)
    announcer.close()
    assert board.opened == 2, "one record while it runs, and the last one"
    [one] = fleet_on(board.read("budget")).gone
    assert (one.machine, one.task, one.ended, one.requests) == ("line-2", FACTS.task, True, 5000)


def test_the_requests_of_the_last_window_are_counted() -> None:
    ticks = Ticks()
    announcer = Announcer(Board().open, "budget", FACTS, ticks)
    for second in range(100):
        ticks.now = 1000.0 + second
        announcer.request_sent()
        announcer.request_sent()
    assert announcer.announcement().requests == 2 * 61
    ticks.now += 30
    assert announcer.announcement().requests == 2 * 31
    ticks.now += 1000
    assert announcer.announcement().requests == 0
    announcer.close()


def test_a_wait_is_announced_until_it_is_over_or_a_request_leaves() -> None:
    ticks = Ticks()
    announcer = Announcer(Board().open, "budget", FACTS, ticks)
    announcer.waits(40.0)
    ticks.now += 10
    assert announcer.announcement().waits == 30.0
    announcer.request_sent()
    assert announcer.announcement().waits == 0.0
    announcer.close()


def test_a_server_that_is_away_costs_nothing(board: Board) -> None:
    board.away = True
    announcer = Announcer(board.open, "budget", FACTS, time.monotonic)
    began = time.monotonic()
    for _ in range(1000):
        announcer.request_sent()
    announcer.close()
    assert time.monotonic() - began < LAST_RECORD_SECONDS + 0.5
    assert board.records == {}


def test_a_server_that_hangs_delays_no_request_and_the_end_by_a_moment(board: Board) -> None:
    board.hangs = threading.Event()
    announcer = Announcer(board.open, "budget", FACTS, time.monotonic)
    began = time.monotonic()
    for _ in range(1000):
        announcer.request_sent()
    assert time.monotonic() - began < 0.5
    announcer.close()
    assert time.monotonic() - began < LAST_RECORD_SECONDS + 1


def test_a_job_that_runs_again_and_again_is_one_of_those_last_seen(board: Board) -> None:
    for _ in range(5):
        announcer = Announcer(board.open, "budget", FACTS, time.monotonic)
        announcer.write()
        announcer.write(ended=True)
    assert len(board.records) == 1


def test_no_path_is_written(board: Board) -> None:
    announcer = Announcer(board.open, "budget", FACTS, time.monotonic)
    announcer.write()
    announcer.write(ended=True)
    assert "/data" not in f"{board.records}" and "lab" not in f"{board.records}"
