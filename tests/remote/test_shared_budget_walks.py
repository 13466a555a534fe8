"""Machines, a budget server and the network between them in random trouble: the service never gets more than its limit.

The servers are real, the time is not: each step says what the server's clock shows. A machine is a rate limiter with
its own share and its own idea of time; the service counts each request at a moment between sending and answer.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from astica_sync.core.rate_limit import Lane
from astica_sync.remote.rate_limiter import Permit, RateLimiter
from astica_sync.remote.shared_budget.budget_server import BudgetServer, Reply, ServerAway, Terms
from astica_sync.remote.shared_budget.elapsed_proof import ElapsedProof
from astica_sync.remote.shared_budget.shared_rate_limiter import LONGEST_HOLD, Pool, SharedRateLimiter
from tests.harness.budget_servers import BudgetServerProcess
from tests.harness.manual_clock import HandClock
from tests.remote.test_limiter_contract import connect, names

LIMIT, WINDOW, TIMEOUT = 12, 60.0, 20.0


@dataclass
class Trouble:
    """What is wrong now: which machines are cut off, and by how much the server's clock is wrong."""

    dice: random.Random
    clock: HandClock
    cut_off: set[int] = field(default_factory=set)
    offset: float = 1_700_000_000.0
    delay: float = 0.0
    lost_answers: float = 0.03

    def server_time(self) -> float:
        return self.clock.time + self.offset


class UnreliableServer:
    """The way from one machine to the server: cut, or it loses the answer of a call that was carried out."""

    def __init__(self, server: BudgetServer, trouble: Trouble, machine: int) -> None:
        self._server, self._trouble, self._machine = server, trouble, machine

    def call(self, name: str, terms: Terms, operation: str, arguments: list[str]) -> Reply:
        trouble = self._trouble
        if self._machine in trouble.cut_off:
            raise ServerAway("no network")
        trouble.clock.time += trouble.dice.random() * trouble.delay
        reply = self._server.call(name, terms, operation, arguments)
        trouble.clock.time += trouble.dice.random() * trouble.delay
        if trouble.dice.random() < trouble.lost_answers:
            raise ServerAway("no answer in time")
        return reply

    def close(self) -> None:
        """The connection is shared by all machines of the walk."""


@dataclass
class Sent:
    permit: Permit
    at: float
    answered: float
    machine: int
    life: int


def most_in_a_window(times: list[float]) -> int:
    times = sorted(times)
    first = most = 0
    for last, time in enumerate(times):
        while times[first] <= time - WINDOW:
            first += 1
        most = max(most, last - first + 1)
    return most


def walk(seed: int, server: BudgetServer, trouble: Trouble, forget: Callable[[str], None], folder: Path) -> int:
    """Plays one walk and returns how many requests were sent."""
    dice, clock = trouble.dice, trouble.clock
    name = next(names)
    machines = dice.randint(1, 3)
    share, pool = (0.1, 0.6) if dice.random() < 0.5 else (0.0, 1.0)
    proofs = [ElapsedProof(WINDOW, LONGEST_HOLD) for _ in range(machines)]
    lives = [0] * machines
    limiters: dict[int, SharedRateLimiter] = {}
    under_way: list[Sent] = []
    counted: list[float] = []

    def limiter(machine: int) -> SharedRateLimiter:
        if machine not in limiters:
            own = (
                RateLimiter(
                    folder / f"{name}-{machine}.db", name="k", limit=int(LIMIT * share), window=WINDOW, clock=clock
                )
                if share
                else None
            )
            # A new process: with what the machine knew of the server's clock, or without.
            if dice.random() < 0.5:
                proofs[machine] = ElapsedProof(WINDOW, LONGEST_HOLD)
            limiters[machine] = SharedRateLimiter(
                UnreliableServer(server, trouble, machine),
                place="server",
                name=name,
                limit=LIMIT,
                window=WINDOW,
                clock=clock,
                pool=Pool(pool, share, own),
                longest_timeout=TIMEOUT,
                proof=proofs[machine],
            )
        return limiters[machine]

    def answer(until: float) -> None:
        for sent in sorted(under_way, key=lambda one: one.answered):
            if sent.answered <= until and sent in under_way:
                under_way.remove(sent)
                clock.time = max(clock.time, sent.answered)
                if sent.life == lives[sent.machine]:
                    limiter(sent.machine).release(sent.permit, served=dice.random() < 0.9)

    for _ in range(dice.randint(30, 150)):
        machine = dice.randrange(machines)
        match dice.choices(
            ["send", "eager", "wait", "kill", "cut", "forget", "set", "slow"], [50, 10, 22, 4, 4, 2, 4, 2]
        )[0]:
            case ("send" | "eager") as action:
                eager = action == "eager"
                for _ in range(dice.randint(1, LIMIT * 3 if eager else LIMIT)):
                    permit = limiter(machine).try_acquire(dice.choice(list(Lane)), TIMEOUT)
                    if not isinstance(permit, Permit):
                        if not eager or permit.seconds > 2 * WINDOW:
                            break
                        # As soon as it may.
                        until = clock.time + permit.seconds
                        answer(until)
                        clock.time = max(clock.time, until)
                        continue
                    if dice.random() < 0.1:
                        clock.time += dice.choice([1, 30, 300])
                    extended = limiter(machine).extend(permit, clock.time + TIMEOUT)
                    if extended is None:
                        limiter(machine).release(permit, sent=False)
                        continue
                    answered = clock.time + dice.choice([0.1, 1.0, TIMEOUT]) * dice.random()
                    counted.append(dice.choice([clock.time, answered, dice.uniform(clock.time, answered)]))
                    under_way.append(Sent(extended, clock.time, answered, machine, lives[machine]))
                    clock.time += dice.random() * 0.2
            case "wait":
                until = clock.time + dice.choice([0.5, 5, 15, 61, 130, 200]) * dice.random()
                answer(until)
                clock.time = max(clock.time, until)
            case "kill":
                lives[machine] += 1
                if gone := limiters.pop(machine, None):
                    gone.close()
            case "cut":
                trouble.cut_off ^= {machine}
            case "forget":
                forget(name)
            case "set":
                trouble.offset += dice.choice([-3600, -70, -1, 1, 30, 61, 3600, 86_400])
            case "slow":
                trouble.delay = dice.choice([0.0, 0.0, 0.5, 3.0])
    # All is well again: no place was lost for ever.
    trouble.cut_off.clear()
    trouble.delay = trouble.lost_answers = 0.0
    for _ in range(12):
        limiter(0).forecast(1)
        clock.time += WINDOW
    free = 0
    while isinstance(limiter(0).try_acquire(Lane.INTERACTIVE), Permit):
        free += 1
    assert free == int(LIMIT * pool + 1e-9) + int(LIMIT * share + 1e-9), f"seed {seed}"
    for one in limiters.values():
        one.close()
    assert most_in_a_window(counted) <= LIMIT, f"seed {seed}"
    return len(counted)


def forget_in_redis(address: str, name: str, dice: random.Random) -> None:
    """All of it, or one key as by an eviction."""
    import redis

    with redis.Redis.from_url(address) as client:
        keys = sorted(client.scan_iter(f"*{name}*"))
        if keys:
            client.delete(*(keys if dice.random() < 0.5 else [dice.choice(keys)]))


def forget_in_postgres(address: str, name: str, dice: random.Random) -> None:
    import psycopg

    with psycopg.connect(address) as connection:
        for table in ("state", "request", "waiting"):
            connection.execute(f"DELETE FROM astica_sync.budget_{table} WHERE name = %s", [name])


FORGET = {"redis": forget_in_redis, "postgres": forget_in_postgres}


def play(kind: str, process: BudgetServerProcess, walks: range, folder: Path) -> int:
    sent = 0
    for seed in walks:
        dice, clock = random.Random(seed), HandClock()
        trouble = Trouble(dice, clock)
        server = connect(kind, process, trouble.server_time)
        try:
            forget = partial(FORGET[kind], process.address, dice=dice)
            sent += walk(seed, server, trouble, forget, folder)
        finally:
            server.close()
    return sent


@pytest.fixture(params=["redis", "postgres"])
def running(request: pytest.FixtureRequest) -> tuple[str, BudgetServerProcess]:
    return request.param, request.getfixturevalue(f"shared_{request.param}")


@pytest.mark.long
def test_the_limit_holds_in_random_trouble(running: tuple[str, BudgetServerProcess], tmp_path: Path) -> None:
    assert play(*running, range(6), tmp_path) > 100


@pytest.mark.long
def test_the_limit_holds_in_much_random_trouble(running: tuple[str, BudgetServerProcess], tmp_path: Path) -> None:
    assert play(*running, range(100, 200), tmp_path) > 5000
