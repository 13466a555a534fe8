"""The pipeline sends as fast as permits allow, stops when it must, and reports every request."""

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
    StillRateLimited,
    StorageFull,
    Unreachable,
)
from astica_sync.sync.apply.circuit_breaker import UNKNOWN_IN_A_ROW, UNREACHABLE_TRIES, CircuitBreaker
from astica_sync.sync.apply.pipeline import AHEAD, BYTES_AT_ONCE, IN_FLIGHT, Pipeline
from tests.harness.inline_pipeline import FakeJob, FakeRecorder, InlinePool, Permits, SleepClock


class Setup:
    """A pipeline with stand-ins for everything it works with."""

    def __init__(self, pace: float = 0.0) -> None:
        self.clock = SleepClock()
        self.workers = InlinePool(self.clock)
        self.permits = Permits(self.clock, pace)
        self.recorder = FakeRecorder()
        self.stopping = lambda: False
        self.pipeline = Pipeline(self.workers, self.permits, self.clock, CircuitBreaker(), lambda: self.stopping())

    def run(self, jobs: Sequence[FakeJob]) -> None:
        self.pipeline.run(iter(jobs), Lane.BACKLOG, self.recorder)


def test_every_job_is_recorded_before_and_after_it_is_sent() -> None:
    setup = Setup()
    jobs = [FakeJob(str(number)) for number in range(100)]
    setup.run(jobs)
    assert setup.pipeline.error is None
    assert sorted(setup.recorder.begun) == sorted(job.name for job in jobs)
    assert sorted(setup.recorder.settled) == sorted((job.name, None) for job in jobs)
    assert all(job.sent == 1 for job in jobs)


def test_no_more_is_prepared_or_under_way_than_the_limits_allow() -> None:
    setup = Setup()
    setup.run([FakeJob(str(number)) for number in range(100)])
    assert setup.workers.most <= AHEAD + IN_FLIGHT
    heavy = Setup(pace=1.0)
    heavy.run([FakeJob(str(number), size=BYTES_AT_ONCE // 2) for number in range(10)])
    assert heavy.workers.most <= 3
    assert len(heavy.recorder.settled) == 10


def test_a_job_waits_for_its_permit() -> None:
    setup = Setup(pace=2.0)
    setup.run([FakeJob("a"), FakeJob("b"), FakeJob("c")])
    assert setup.clock.time >= 1004.0
    assert setup.permits.granted == 3


def test_no_permit_is_requested_before_there_can_be_one() -> None:
    setup = Setup(pace=60.0)
    setup.run([FakeJob(str(number)) for number in range(3)])
    assert setup.permits.granted == 3
    assert setup.permits.refused <= 2


def test_a_sample_that_cannot_be_sent_does_not_stop_the_others() -> None:
    setup = Setup()
    bad = ImageRejected("no image")
    setup.run([FakeJob("a"), FakeJob("b", preparing=bad), FakeJob("c", [Refused("no")]), FakeJob("d")])
    assert setup.pipeline.error is None
    assert {name for name, error in setup.recorder.settled if error is None} == {"a", "d"}
    assert ("b", bad) in setup.recorder.settled
    assert "b" not in setup.recorder.begun


def test_a_job_that_fails_its_last_check_is_reported_and_not_sent() -> None:
    setup = Setup()
    held = FakeJob("held", admitted=False)
    setup.run([held, FakeJob("a")])
    assert held.sent == 0
    assert "held" not in setup.recorder.begun
    assert [name for name, error in setup.recorder.settled if error is not None] == ["held"]


@pytest.mark.parametrize("error", [RateLimited("slow down"), Unreachable("gone")])
def test_a_request_that_proved_to_have_done_nothing_is_sent_again(error: Exception) -> None:
    setup = Setup()
    job = FakeJob("a", [error, None])
    setup.run([job])
    assert job.sent == 2
    assert setup.recorder.begun == ["a", "a"]
    assert setup.recorder.settled == [("a", error), ("a", None)]
    assert setup.pipeline.error is None


def test_a_request_that_is_refused_for_the_limit_goes_behind_the_others() -> None:
    """A service may refuse one alone; the others must not wait for it."""
    setup = Setup(pace=1.0)
    refusal = RateLimited("slow down")
    setup.run([FakeJob("a", [refusal, refusal, None]), *(FakeJob(str(number)) for number in range(30))])
    order = [name for name, error in setup.recorder.settled if error is None]
    assert order.index("a") >= AHEAD
    assert len(order) == 31


def test_a_limit_that_is_not_lifted_ends_the_run_without_a_repetition() -> None:
    setup = Setup(pace=1.0)
    refusal = StillRateLimited("for 15 minutes")
    job = FakeJob("a", [refusal])
    setup.run([job, FakeJob("b"), FakeJob("c")])
    assert job.sent == 1
    assert setup.pipeline.error is refusal
    assert ("a", refusal) in setup.recorder.settled


def test_a_request_whose_outcome_is_unknown_is_not_repeated() -> None:
    setup = Setup()
    lost = OutcomeUnknown("lost")
    job = FakeJob("a", [lost])
    setup.run([job, FakeJob("b")])
    assert job.sent == 1
    assert ("a", lost) in setup.recorder.settled
    assert setup.pipeline.error is None


def test_a_bad_key_stops_the_run() -> None:
    setup = Setup(pace=0.1)
    jobs = [FakeJob("a", [BadKey("wrong")]), *(FakeJob(str(number)) for number in range(50))]
    setup.run(jobs)
    assert isinstance(setup.pipeline.error, BadKey)
    assert sum(job.sent for job in jobs) < 20


def test_an_unreachable_network_is_retried_with_growing_pauses_and_then_ends_the_run() -> None:
    setup = Setup()
    job = FakeJob("a", [Unreachable("gone")] * 10)
    setup.run([job])
    assert isinstance(setup.pipeline.error, Unreachable)
    assert job.sent == UNREACHABLE_TRIES
    assert setup.clock.time == pytest.approx(1000 + 1 + 2 + 4)


def test_one_network_failure_of_all_requests_under_way_counts_once() -> None:
    setup = Setup()
    jobs = [FakeJob(str(number), [Unreachable("gone")]) for number in range(IN_FLIGHT)]
    setup.run(jobs)
    assert setup.pipeline.error is None
    assert all(job.sent == 2 for job in jobs)


def test_consecutive_lost_answers_end_the_run_and_alternating_ones_do_not() -> None:
    alone = Setup(pace=1.0)
    alone.run([FakeJob(str(number), [OutcomeUnknown("lost")]) for number in range(30)])
    assert isinstance(alone.pipeline.error, OutcomeUnknown)
    assert len(alone.recorder.begun) == UNKNOWN_IN_A_ROW
    mixed = Setup(pace=1.0)
    mixed.run([FakeJob(str(number), [OutcomeUnknown("lost")] if number % 2 else []) for number in range(30)])
    assert mixed.pipeline.error is None


def test_a_stop_waits_for_what_is_under_way_and_starts_nothing_more() -> None:
    setup = Setup(pace=0.5)
    setup.stopping = lambda: len(setup.recorder.settled) >= 3
    setup.run([FakeJob(str(number)) for number in range(50)])
    assert isinstance(setup.pipeline.error, Interrupted)
    assert len(setup.recorder.settled) == len(setup.recorder.begun) < 8
    assert setup.pipeline.parked == 0


def test_what_does_not_answer_after_a_stop_is_parked() -> None:
    setup = Setup()

    class SilentPool(InlinePool):
        def next_done(self, timeout: float | None):
            if self._waiting and self._waiting[0][1][1] == "sent":
                self._clock.time += timeout or 0.0
                return None
            return super().next_done(timeout)

    setup.pipeline = Pipeline(
        SilentPool(setup.clock), setup.permits, setup.clock, CircuitBreaker(), lambda: len(setup.recorder.begun) >= 2
    )
    setup.run([FakeJob("a"), FakeJob("b"), FakeJob("c", admitted=False)])
    assert isinstance(setup.pipeline.error, Interrupted)
    assert setup.pipeline.parked == 2
    assert setup.clock.time == pytest.approx(1010, abs=2)


def test_a_mark_that_cannot_be_written_sends_nothing_and_releases_the_permits() -> None:
    setup = Setup()

    def fail(jobs: Sequence[FakeJob]) -> None:
        raise DatabaseError("disk full")

    setup.recorder.before_send = fail  # type: ignore[method-assign]
    jobs = [FakeJob("a"), FakeJob("b")]
    with pytest.raises(DatabaseError):
        setup.run(jobs)
    assert setup.permits.granted == setup.permits.returned > 0
    assert all(job.sent == 0 for job in jobs)


def test_an_unexpected_error_ends_the_run_and_is_returned() -> None:
    setup = Setup()
    fault = RuntimeError("a fault of the program")
    setup.run([FakeJob("a", preparing=fault), *(FakeJob(str(number)) for number in range(3))])
    assert setup.pipeline.error is fault


def test_a_full_disk_is_reported_for_the_job() -> None:
    setup = Setup()
    full = StorageFull("no space")
    setup.run([FakeJob("a", preparing=full)])
    assert setup.recorder.settled == [("a", full)]
