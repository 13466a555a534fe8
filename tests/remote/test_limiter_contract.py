"""What every rate limiter does, wherever it counts: in a file of the machine, on Redis or on PostgreSQL (promise 6)."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync.core.rate_limit import Lane
from astica_sync.errors import Interrupted
from astica_sync.remote.limiter import Limiter
from astica_sync.remote.rate_limiter import LONGEST_BACK_OFF, LONGEST_RETRY_AFTER, Permit, RateLimiter, Wait
from astica_sync.remote.shared_budget.budget_server import BudgetServer
from astica_sync.remote.shared_budget.elapsed_proof import ElapsedProof
from astica_sync.remote.shared_budget.shared_rate_limiter import LONGEST_HOLD, SLACK, SharedRateLimiter
from astica_sync.secret import Secret
from tests.harness.budget_servers import BudgetServerProcess
from tests.harness.manual_clock import HandClock

Open = Callable[..., Limiter]
EPOCH = 1_700_000_000.0
"""What the server's clock shows when the machine's shows 0."""
names = (f"contract-{os.getpid()}-{number}" for number in itertools.count())


def connect(kind: str, process: BudgetServerProcess, server_time: Callable[[], float]) -> BudgetServer:
    """A connection on which the server's clock shows what the test says."""
    if kind == "redis":
        pytest.importorskip("redis")
        from astica_sync.remote.shared_budget.redis_server import RedisServer

        return RedisServer(Secret(process.address), server_time=server_time)
    pytest.importorskip("psycopg")
    from astica_sync.remote.shared_budget.postgres_server import PostgresServer

    return PostgresServer(Secret(process.address), server_time=server_time)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def slack(kind: str) -> float:
    """Seconds for which a server keeps a place longer, since two clocks may differ in speed; a file is exact."""
    return 0.0 if kind == "sqlite" else 0.3


@pytest.fixture
def open_limiter(kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[Open]:
    """Opens a rate limiter of 3 requests per 60 seconds, as another process of the machine would."""
    opened: list[Limiter] = []
    scope = next(names)
    proofs: dict[str, ElapsedProof] = {}

    def open_local(limit: int = 3, name: str = "k") -> Limiter:
        opened.append(RateLimiter(tmp_path / "budget.db", name=name, limit=limit, window=60, clock=clock))
        return opened[-1]

    def open_shared(limit: int = 3, name: str = "k") -> Limiter:
        def open_one() -> SharedRateLimiter:
            connected = connect(kind, server, lambda: EPOCH + clock.time)
            full = f"{scope}-{name}"
            proof = proofs.setdefault(name, ElapsedProof(60, LONGEST_HOLD))
            limiter = SharedRateLimiter(
                connected, place="server", name=full, limit=limit, window=60, clock=clock, proof=proof
            )
            opened.append(limiter)
            return limiter

        if name not in proofs:
            # The server has no records of this budget yet, and begins with a rest.
            now, limiter = clock.time, open_one()
            for clock.time in (now - 300, now - 61, now):
                assert limiter.used() == 0
        return open_one()

    if kind == "sqlite":
        yield open_local
    else:
        server = request.getfixturevalue(f"shared_{kind}")
        yield open_shared
    for limiter in opened:
        limiter.close()


@pytest.fixture
def limiter(open_limiter: Open) -> Limiter:
    return open_limiter()


def take(limiter: Limiter, lane: Lane = Lane.BACKLOG) -> Permit:
    found = limiter.try_acquire(lane)
    assert isinstance(found, Permit), found
    return found


def refused(limiter: Limiter, lane: Lane = Lane.BACKLOG) -> float:
    found = limiter.try_acquire(lane)
    assert isinstance(found, Wait), found
    return found.seconds


@pytest.mark.long
def test_as_many_requests_as_the_limit_start_immediately_and_the_next_waits(
    limiter: Limiter, clock: HandClock, slack: float
) -> None:
    permits = [take(limiter) for _ in range(3)]
    assert refused(limiter) == pytest.approx(60, abs=slack)
    clock.time += 5
    limiter.release(permits[0])
    assert refused(limiter) == pytest.approx(60, abs=slack)
    clock.time += 59
    assert refused(limiter) == pytest.approx(1, abs=slack)
    clock.time += 1 + slack
    take(limiter)
    assert refused(limiter) > 0


def test_processes_share_one_limit(open_limiter: Open, slack: float) -> None:
    first, second = open_limiter(), open_limiter()
    take(first)
    take(second)
    take(first)
    assert refused(second) == pytest.approx(60, abs=slack)
    assert (first.used(), second.used()) == (3, 3)


def test_each_key_and_endpoint_has_its_own_limit(open_limiter: Open, slack: float) -> None:
    first, second = open_limiter(limit=1, name="a"), open_limiter(limit=1, name="b")
    take(first)
    take(second)
    assert refused(first) == pytest.approx(60, abs=slack)


def test_a_request_that_is_never_released_counts_until_its_timeout_and_a_window(
    limiter: Limiter, clock: HandClock, slack: float
) -> None:
    for _ in range(3):
        limiter.try_acquire(Lane.BACKLOG, timeout_s=30)
    longer = 30 * SLACK if slack else 0
    clock.time += 89 + longer
    assert refused(limiter) == pytest.approx(1, abs=slack)
    clock.time += 1 + slack
    take(limiter)


def test_a_longer_request_counts_longer(open_limiter: Open, clock: HandClock, slack: float) -> None:
    limiter = open_limiter(limit=1)
    permit = take(limiter)
    longer = limiter.extend(permit, permit.timeout_at + 100)
    assert longer is not None
    clock.time = permit.timeout_at + 60
    assert refused(limiter) == pytest.approx(60, abs=slack)
    clock.time = longer.timeout_at + 60 + slack
    take(limiter)


def test_a_permit_that_is_used_too_late_is_void(open_limiter: Open, clock: HandClock, slack: float) -> None:
    limiter = open_limiter(limit=1)
    permit = take(limiter)
    clock.time = permit.timeout_at + 60 + slack
    other = take(limiter)
    assert limiter.extend(permit, clock.time + 30) is None
    assert limiter.extend(other, clock.time + 30) == other


def test_an_unused_permit_frees_its_place(open_limiter: Open) -> None:
    limiter = open_limiter(limit=1)
    limiter.release(take(limiter), sent=False)
    take(limiter)


def test_a_second_release_has_no_effect(open_limiter: Open, clock: HandClock, slack: float) -> None:
    limiter = open_limiter(limit=1)
    permit = take(limiter)
    limiter.release(permit)
    clock.time += 50
    limiter.release(permit)
    limiter.release(permit, sent=False)
    assert refused(limiter) == pytest.approx(10, abs=slack)


def test_higher_lanes_go_first(open_limiter: Open, clock: HandClock, slack: float) -> None:
    backlog, removal, person = open_limiter(limit=1), open_limiter(limit=1), open_limiter(limit=1)
    backlog.release(take(backlog))
    assert refused(person, Lane.INTERACTIVE) == pytest.approx(60, abs=slack)
    assert refused(removal, Lane.REMOVAL) > 0
    clock.time += 60 + slack
    assert refused(backlog) > 0
    assert refused(removal, Lane.REMOVAL) > 0
    person.release(take(person, Lane.INTERACTIVE))
    assert refused(removal, Lane.REMOVAL) == pytest.approx(60, abs=slack)
    clock.time += 60 + slack
    assert refused(backlog) > 0
    take(removal, Lane.REMOVAL)


def test_a_place_is_kept_for_each_waiting_request_of_a_higher_lane(
    open_limiter: Open, clock: HandClock, slack: float
) -> None:
    first, second = open_limiter(), open_limiter()
    for _ in range(3):
        first.release(take(first))
    refused(second, Lane.INTERACTIVE)
    clock.time += 60 + slack
    take(first)
    take(first)
    assert refused(first) > 0
    take(second, Lane.INTERACTIVE)


def test_a_dead_waiting_process_keeps_its_place_only_for_a_short_time(
    open_limiter: Open, clock: HandClock, slack: float
) -> None:
    dead, alive = open_limiter(limit=1), open_limiter(limit=1)
    alive.release(take(alive))
    refused(dead, Lane.INTERACTIVE)
    clock.time += 60 + slack
    assert 0 < refused(alive) <= 1
    clock.time += 1
    take(alive)


def test_acquire_waits_exactly_as_long_as_needed_and_reports_it(
    open_limiter: Open, clock: HandClock, slack: float
) -> None:
    limiter = open_limiter(limit=1)
    limiter.release(take(limiter))
    clock.time += 20
    said: list[tuple[float, str]] = []
    permit = limiter.acquire(Lane.INTERACTIVE, on_wait=lambda seconds, why: said.append((seconds, why)))
    assert permit.sent_at == pytest.approx(10_060, abs=slack)
    assert said == [(pytest.approx(40, abs=slack), "the request limit of this key")]


def test_a_wait_says_how_many_requests_of_the_window_others_have_sent(
    open_limiter: Open, clock: HandClock, slack: float
) -> None:
    first, second = open_limiter(), open_limiter()
    first.release(take(first))
    second.release(take(second))
    take(second)
    said: list[str] = []
    for limiter in (first, second):
        found = limiter.try_acquire(Lane.BACKLOG)
        assert isinstance(found, Wait)
        said.append(found.reason)
    assert said == [
        "the request limit of this key; 2 requests of the last minute were not this command's",
        "the request limit of this key; 1 request of the last minute was not this command's",
    ]
    first.acquire(Lane.INTERACTIVE, on_wait=lambda seconds, why: said.append(why))
    assert said[2:] == said[:1]
    # The first limiter's requests alone count now, and a permit that was not used is none.
    clock.time += 600
    second.release(take(second), sent=False)
    for _ in range(3):
        take(first)
    found = first.try_acquire(Lane.BACKLOG)
    assert isinstance(found, Wait) and found.reason == "the request limit of this key"


def test_acquire_is_interrupted_by_a_stop(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=1)
    take(limiter)
    clock.stopped = True
    with pytest.raises(Interrupted):
        limiter.acquire(Lane.INTERACTIVE)


def test_a_refusal_blocks_all_requests_longer_each_time(open_limiter: Open, clock: HandClock, slack: float) -> None:
    first, second = open_limiter(limit=99), open_limiter(limit=99)
    rests = []
    for _ in range(7):
        permit = take(first)
        rests.append(first.back_off(None, permit.sent_at))
        first.release(permit)
        assert refused(second) == pytest.approx(rests[-1], abs=slack)
        assert second.rest() == pytest.approx(rests[-1], abs=slack)
        clock.time += rests[-1] + slack
    assert rests == [2, 4, 8, 16, 32, LONGEST_BACK_OFF, LONGEST_BACK_OFF]


def test_refusals_of_concurrent_requests_count_once(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=99)
    permits = [take(limiter) for _ in range(8)]
    clock.time += 1
    assert [limiter.back_off(None, permit.sent_at) for permit in permits] == [2] * 8
    clock.time += 5
    assert limiter.back_off(None, permits[0].sent_at) == 0


def test_a_served_request_resets_the_back_off(open_limiter: Open, clock: HandClock, slack: float) -> None:
    limiter = open_limiter(limit=99)
    early = take(limiter)
    for _ in range(3):
        clock.time += 1 + limiter.back_off()
    limiter.release(early, served=True)
    assert limiter.back_off() == 16
    clock.time += 16 + slack
    limiter.release(take(limiter), served=True)
    assert limiter.back_off() == 2


def test_retry_after_is_obeyed_up_to_a_maximum(open_limiter: Open, clock: HandClock) -> None:
    limiter = open_limiter(limit=99)
    assert limiter.back_off(7) == 7
    assert limiter.back_off(3) == 7
    clock.time += 7
    assert limiter.back_off(1e9) == LONGEST_RETRY_AFTER


def test_a_retry_after_of_zero_is_not_obeyed(limiter: Limiter) -> None:
    assert limiter.back_off(0) >= 2


def test_the_forecast_includes_used_places_and_the_latency(open_limiter: Open, clock: HandClock, slack: float) -> None:
    limiter = open_limiter()
    assert limiter.forecast(1) == 0.5
    permit = take(limiter)
    clock.time += 4
    limiter.release(permit)
    assert limiter.forecast(2) == 4
    assert limiter.forecast(3) == 64
    limiter.back_off(100)
    assert limiter.forecast(1) == pytest.approx(104, abs=slack)
    assert limiter.forecast(0) == 0


def test_threads_of_one_process_share_the_limit(open_limiter: Open) -> None:
    limiter = open_limiter(limit=10)
    found: list[Permit | Wait] = []
    threads = [threading.Thread(target=lambda: found.append(limiter.try_acquire(Lane.BACKLOG))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Permit) for one in found) == 10


def test_a_forked_child_is_refused(limiter: Limiter) -> None:
    take(limiter)
    child = os.fork()
    if child == 0:
        try:
            limiter.used()
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize(("said", "then"), [((2, 60.0), 2), ((1000, 60.0), 3), ((3, 600.0), 3), ((0, 60.0), 3)])
def test_only_a_lower_limit_of_the_service_holds(limiter: Limiter, said: tuple[int, float], then: int) -> None:
    limiter.take_policy(*said)
    assert limiter.limit == then
    assert sum(isinstance(limiter.try_acquire(Lane.BACKLOG), Permit) for _ in range(9)) == then
