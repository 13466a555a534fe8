"""Fails every effect of a scenario in turn: once, and from there on for ever; then lets it come right.

A scenario is played once to count its effects, and then again for each of them and each way to fail.
"""

import errno
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.simulation.databases import Databases
from tests.simulation.machine import Run, Store
from tests.simulation.network import CHANGE_FAULTS, VIEW_FAULTS, Faults
from tests.simulation.runner import stage
from tests.simulation.script import Script
from tests.simulation.service import Switches
from tests.simulation.users import Users
from tests.simulation.walk import DISK_STEPS, Play
from tests.simulation.world import Broken, Hook, Process, World

Scene = Callable[[Store, Users], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``before`` is what is there and pushed already, ``change`` what the push under test has to do."""

    name: str
    before: tuple[str, ...]
    change: Scene


def _new(store: Store, users: Users) -> None:
    for number in range(3):
        users.write(store, f"Can/new{number}.png", number)


def _move(store: Store, users: Users) -> None:
    users.put(store, "Bottle/0.png", users.take(store, "Can/0.png"))


def _remove(store: Store, users: Users) -> None:
    users.take(store, "Can/0.png")


def _remove_class(store: Store, users: Users) -> None:
    users.take(store, "Bottle")


def _lose_journal(store: Store, users: Users) -> None:
    users.act("delete journal", store, random.Random(0))


_KEPT = ("Can/0.png", "Can/1.png", "Jar/2.png")
SCENARIOS = (
    Scenario("the first push of three, with the probe", (), _new),
    Scenario("a push of three more", _KEPT, _new),
    Scenario("a move", _KEPT, _move),
    Scenario("a removal", _KEPT, _remove),
    Scenario("the removal of a class", (*_KEPT, "Bottle/3.png", "Bottle/4.png", "Bottle/5.png"), _remove_class),
    Scenario("a lost journal", _KEPT, _lose_journal),
)
KINDS = ("crash", "power", "disk full", "disk error", "database", "stop")


def _script() -> Script:
    return Script(1, Switches(), Faults(), 90, 60.0, 1, 1, True, ("Can", "Bottle", "Jar"), True, 10, {})


class Sweep:
    """One scenario, ready to be failed in any way."""

    def __init__(self, scenario: Scenario, databases: Databases) -> None:
        self.scenario = scenario
        self.databases = databases

    def play(self, arm: Callable[[Run], None]) -> Run:
        """Plays the scenario with a failing push, then faultless ones; a broken promise is raised."""
        self.databases.reset()
        play = Play(_script(), self.databases, World())
        try:
            store = play.stores[0]
            for number, path in enumerate(self.scenario.before):
                play.users.write(store, path, number + 10)
            if self.scenario.before:
                play.wait_for(self._start(play, store, 1))
            play.world.begin_change()
            self.scenario.change(store, play.users)
            run = self._start(play, store, 2)
            arm(run)
            play.wait_for(run)
            play.settle()
            play.converge()
        finally:
            play.close()
        return run

    def _start(self, play: Play, store: Store, seed: int) -> Run:
        run = store.start(seed, consent=lambda _: True)
        play.runs.append(run)
        return run

    def all(self) -> Iterator[tuple[str, Callable[[Run], None]]]:
        """Every way to fail this scenario, by name."""
        calm = self.play(lambda _: None)
        effects, posts = calm.count, calm.connection.posts if calm.connection else 0
        for kind in KINDS:
            for number in range(1, effects + 1):
                yield f"{kind} at effect {number}", lambda run, kind=kind, at=number: _arm(run, kind, at, False)
                if kind in ("disk full", "disk error", "database"):
                    yield f"{kind} from effect {number}", lambda run, kind=kind, at=number: _arm(run, kind, at, True)
        for fault in sorted({*CHANGE_FAULTS, *VIEW_FAULTS}):
            for number in range(1, posts + 1):
                yield f"{fault} at request {number}", lambda run, fault=fault, at=number: _answer(run, fault, at, at)
                yield f"{fault} from request {number}", lambda run, fault=fault, at=number: _answer(run, fault, at, 400)


def _arm(run: Run, kind: str, at: int, for_ever: bool) -> None:
    def fails(what: str) -> bool:
        return what.startswith("commit ") if kind == "database" else what in DISK_STEPS

    def raise_it(process: Process, what: str) -> None:
        if kind == "database":
            error = sqlite3.OperationalError("simulated")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        number = errno.ENOSPC if kind == "disk full" else errno.EIO
        raise OSError(number, errno.errorcode[number])

    def hook(process: Process, what: str) -> None:
        if kind == "crash":
            process.kill()
        elif kind == "power":
            run.store.machine.boots += 1
            process.on_end.append(lambda: run.store.machine.volume.cut_power(random.Random(at)))
            process.kill()
        elif kind == "stop":
            process.ask_to_stop()
        elif fails(what):
            if for_ever:
                process.every = stay
            raise_it(process, what)

    def stay(process: Process, what: str) -> None:
        if fails(what):
            raise_it(process, what)

    hooks: dict[int, Hook] = {at: hook}
    run.due.update(hooks)


def _answer(run: Run, fault: str, first: int, last: int) -> None:
    run.answers = dict.fromkeys(range(first, last + 1), fault)


def sweep(scenario: Scenario, databases: Databases) -> tuple[int, list[str]]:
    """How many ways there are to fail the scenario, and which of them broke a promise."""
    played = Sweep(scenario, databases)
    count, broken = 0, []
    for name, arm in played.all():
        count += 1
        try:
            played.play(arm)
        except Broken as error:
            broken.append(f"{scenario.name}: {name}: {error}")
    return count, broken


def sweep_all() -> int:
    """Prints how many failures were provoked and which broke a promise."""
    started = time.monotonic()
    total, failed = 0, 0
    with stage() as databases:
        for scenario in SCENARIOS:
            count, broken = sweep(scenario, databases)
            total += count
            failed += len(broken)
            print(f"{scenario.name}: {count:,} failures, {len(broken)} of them broke a promise", flush=True)
            for line in broken[:10]:
                print(f"  {line}")
    print(f"{total:,} failures provoked, {failed} broke a promise, {time.monotonic() - started:.0f} s")
    return 1 if failed else 0
