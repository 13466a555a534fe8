"""Requests flow as fast as they may, stop when they must, and leave none unaccounted for."""

from collections.abc import Sequence

import pytest

from astica_sync.core.rate_limit import Lane
from astica_sync.errors import (
    BadKey,
    DatabaseError,
    ImageRejected,
    Interrupted,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StorageFull,
    Unreachable,
)
from astica_sync.sync.apply.circuit_breaker import UNKNOWN_IN_A_ROW, UNREACHABLE_TRIES, CircuitBreaker
from astica_sync.sync.apply.pipeline import AHEAD, BYTES_AT_ONCE, IN_FLIGHT, Pipeline
from tests.harness.inline_pipeline import Book, Errand, InlineWorkers, OpenGate, OwnClock


class Ride:
    """One flow with everything around it."""

    def __init__(self, pace: float = 0.0) -> None:
        self.clock = OwnClock()
        self.workers = InlineWorkers(self.clock)
        self.gate = OpenGate(self.clock, pace)
        self.book = Book()
        self.stopping = lambda: False
        self.flow = Pipeline(self.workers, self.gate, self.clock, CircuitBreaker(), lambda: self.stopping())

    def run(self, errands: Sequence[Errand]) -> None:
        self.flow.run(iter(errands), Lane.BACKLOG, self.book)


def test_every_job_is_begun_before_it_is_sent_and_settled_after() -> None:
    ride = Ride()
    errands = [Errand(str(number)) for number in range(100)]
    ride.run(errands)
    assert ride.flow.error is None
    assert sorted(ride.book.begun) == sorted(errand.name for errand in errands)
    assert sorted(ride.book.settled) == sorted((errand.name, None) for errand in errands)
    assert all(errand.sent == 1 for errand in errands)


def test_no_more_is_prepared_or_under_way_than_the_bounds_allow() -> None:
    ride = Ride()
    ride.run([Errand(str(number)) for number in range(100)])
    assert ride.workers.most <= AHEAD + IN_FLIGHT
    heavy = Ride(pace=1.0)
    heavy.run([Errand(str(number), size=BYTES_AT_ONCE // 2) for number in range(10)])
    assert heavy.workers.most <= 3
    assert len(heavy.book.settled) == 10


def test_a_job_waits_for_its_permit() -> None:
    ride = Ride(pace=2.0)
    ride.run([Errand("a"), Errand("b"), Errand("c")])
    assert ride.clock.time >= 1004.0
    assert ride.gate.given == 3


def test_nobody_asks_for_a_permit_before_there_can_be_one() -> None:
    ride = Ride(pace=60.0)
    ride.run([Errand(str(number)) for number in range(3)])
    assert ride.gate.given == 3
    assert ride.gate.refused <= 2


def test_a_sample_that_cannot_be_sent_stops_nobody() -> None:
    ride = Ride()
    bad = ImageRejected("no image")
    ride.run([Errand("a"), Errand("b", preparing=bad), Errand("c", [Refused("no")]), Errand("d")])
    assert ride.flow.error is None
    assert {name for name, error in ride.book.settled if error is None} == {"a", "d"}
    assert ("b", bad) in ride.book.settled
    assert "b" not in ride.book.begun


def test_a_job_that_fails_its_last_look_is_told_and_not_sent() -> None:
    ride = Ride()
    held = Errand("held", admitted=False)
    ride.run([held, Errand("a")])
    assert held.sent == 0
    assert "held" not in ride.book.begun
    assert [name for name, error in ride.book.settled if error is not None] == ["held"]


@pytest.mark.parametrize("error", [RateLimited("slow down"), Unreachable("gone")])
def test_a_request_that_proved_to_have_done_nothing_goes_out_again(error: Exception) -> None:
    ride = Ride()
    errand = Errand("a", [error, None])
    ride.run([errand])
    assert errand.sent == 2
    assert ride.book.begun == ["a", "a"]
    assert ride.book.settled == [("a", error), ("a", None)]
    assert ride.flow.error is None


def test_a_request_whose_outcome_is_unknown_is_not_repeated() -> None:
    ride = Ride()
    lost = OutcomeUnknown("lost")
    errand = Errand("a", [lost])
    ride.run([errand, Errand("b")])
    assert errand.sent == 1
    assert ("a", lost) in ride.book.settled
    assert ride.flow.error is None


def test_a_bad_key_stops_the_run_at_once() -> None:
    ride = Ride(pace=0.1)
    errands = [Errand("a", [BadKey("wrong")]), *(Errand(str(number)) for number in range(50))]
    ride.run(errands)
    assert isinstance(ride.flow.error, BadKey)
    assert sum(errand.sent for errand in errands) < 20


def test_a_dead_network_is_tried_with_growing_pauses_and_then_ends_the_run() -> None:
    ride = Ride()
    errand = Errand("a", [Unreachable("gone")] * 10)
    ride.run([errand])
    assert isinstance(ride.flow.error, Unreachable)
    assert errand.sent == UNREACHABLE_TRIES
    assert ride.clock.time == pytest.approx(1000 + 1 + 2 + 4)


def test_a_gap_in_the_network_that_meets_all_that_is_under_way_counts_once() -> None:
    ride = Ride()
    errands = [Errand(str(number), [Unreachable("gone")]) for number in range(IN_FLIGHT)]
    ride.run(errands)
    assert ride.flow.error is None
    assert all(errand.sent == 2 for errand in errands)


def test_many_lost_answers_in_a_row_end_the_run_and_others_between_them_do_not() -> None:
    alone = Ride(pace=1.0)
    alone.run([Errand(str(number), [OutcomeUnknown("lost")]) for number in range(30)])
    assert isinstance(alone.flow.error, OutcomeUnknown)
    assert len(alone.book.begun) == UNKNOWN_IN_A_ROW
    mixed = Ride(pace=1.0)
    mixed.run([Errand(str(number), [OutcomeUnknown("lost")] if number % 2 else []) for number in range(30)])
    assert mixed.flow.error is None


def test_a_stop_lets_what_is_under_way_end_and_begins_nothing_more() -> None:
    ride = Ride(pace=0.5)
    ride.stopping = lambda: len(ride.book.settled) >= 3
    ride.run([Errand(str(number)) for number in range(50)])
    assert isinstance(ride.flow.error, Interrupted)
    assert len(ride.book.settled) == len(ride.book.begun) < 8
    assert ride.flow.parked == 0


def test_what_does_not_answer_after_a_stop_is_parked() -> None:
    ride = Ride()

    class Silent(InlineWorkers):
        def next_done(self, timeout: float | None):
            if self._waiting and self._waiting[0][1][1] == "sent":
                self._clock.time += timeout or 0.0
                return None
            return super().next_done(timeout)

    ride.flow = Pipeline(Silent(ride.clock), ride.gate, ride.clock, CircuitBreaker(), lambda: len(ride.book.begun) >= 2)
    ride.run([Errand("a"), Errand("b"), Errand("c", admitted=False)])
    assert isinstance(ride.flow.error, Interrupted)
    assert ride.flow.parked == 2
    assert ride.clock.time == pytest.approx(1010, abs=2)


def test_a_mark_that_cannot_be_written_sends_nothing_and_gives_the_permits_back() -> None:
    ride = Ride()

    def fail(jobs: Sequence[Errand]) -> None:
        raise DatabaseError("disk full")

    ride.book.before_send = fail  # type: ignore[method-assign]
    errands = [Errand("a"), Errand("b")]
    with pytest.raises(DatabaseError):
        ride.run(errands)
    assert ride.gate.given == ride.gate.returned > 0
    assert all(errand.sent == 0 for errand in errands)


def test_an_error_nobody_expects_ends_the_run_and_is_not_swallowed() -> None:
    ride = Ride()
    fault = RuntimeError("a fault of the program")
    ride.run([Errand("a", preparing=fault), *(Errand(str(number)) for number in range(3))])
    assert ride.flow.error is fault


def test_a_sample_error_of_the_disk_is_told_to_the_desk() -> None:
    ride = Ride()
    full = StorageFull("no space")
    ride.run([Errand("a", preparing=full)])
    assert ride.book.settled == [("a", full)]
