"""A store tells the others what it manages, from one of its processes to the next."""

import time

import pytest

from astica_sync.core.fleet.announcement import LimitSetting, ProcessTask
from astica_sync.core.fleet.store_claim import StoreClaim
from astica_sync.remote.fleet.announcer import Announcer, ProcessFacts
from astica_sync.remote.fleet.fleet_board import BoardRecord, claims_on, fleet_on
from astica_sync.remote.fleet.store_announcement import StoreAnnouncement

CANS = StoreClaim("a1", "lab-desk", "Cans", 7, ("Can",))


class Ticks:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Board:
    """Keeps what is written, each record for as long as the clock has gone on since."""

    def __init__(self, ticks: Ticks) -> None:
        self.records: dict[str, tuple[str, float]] = {}
        self.ticks = ticks
        self.reads = 0

    def open(self) -> "Board":
        return self

    def write(self, name: str, who: str, text: str, gone: str = "") -> None:
        self.records.pop(gone, None)
        self.records[who] = text, self.ticks.now

    def read(self, name: str) -> list[BoardRecord]:
        self.reads += 1
        return [BoardRecord(text, self.ticks.now - at) for text, at in self.records.values()]

    def close(self) -> None:
        pass


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def board(ticks: Ticks) -> Board:
    return Board(ticks)


def process_of(board: Board, claim: StoreClaim) -> tuple[Announcer, StoreAnnouncement]:
    store = StoreAnnouncement(claim, board.ticks)
    facts = ProcessFacts("lab-desk", ProcessTask("push", "Cans", 7), LimitSetting(90, 60.0), "/data/Cans", store)
    return Announcer(board.open, "budget", facts, board.ticks), store


def test_the_times_of_a_store_go_from_one_process_to_the_next(board: Board, ticks: Ticks) -> None:
    first, store = process_of(board, CANS)
    first.write()
    ticks.now += 100
    store.agreed()
    ticks.now += 20
    first.write(ended=True)
    [claim] = claims_on(board.read(""))
    assert (claim.since_now, claim.agreed_ago) == (120.0, 20.0)
    ticks.now += 1000
    second, again = process_of(board, CANS)
    second.write()
    [claim] = claims_on(board.read(""))
    assert (claim.since_now, claim.agreed_ago, claim.seen) == (1120.0, 1020.0, 0.0)
    again.agreed()
    second.write()
    assert claims_on(board.read(""))[0].agreed_ago == 0.0
    assert board.reads == 5, "each process reads once what was there before it"
    # With other classes its times begin again.
    ticks.now += 10
    third, _ = process_of(board, StoreClaim("a1", "lab-desk", "Cans", 7, ("Can", "Box")))
    third.write()
    [claim] = claims_on(board.read(""))
    assert (claim.titles, claim.since_now, claim.agreed_ago) == (("Can", "Box"), 0.0, None)


def test_a_process_and_its_store_are_two_records(board: Board) -> None:
    announcer, _ = process_of(board, CANS)
    announcer.request_sent()
    announcer.close()
    deadline = time.monotonic() + 10
    while len(board.records) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    fleet = fleet_on(board.read(""))
    assert [one.task.store for one in (*fleet.here, *fleet.gone)] == ["Cans"]
    assert [one.store_id for one in fleet.stores] == ["a1"]
