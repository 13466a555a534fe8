"""One walk: plays a script, checks every promise on the way, and asks at the end whether all has come right."""

import errno
import random
import sqlite3
from dataclasses import dataclass, replace

from astica_sync.core.owned_classes import OwnedClasses
from astica_sync.core.plan.guard import Allowance
from tests.simulation import training
from tests.simulation.corners import CORNERS
from tests.simulation.databases import Databases
from tests.simulation.days import play_day
from tests.simulation.machine import Machine, Run, Store
from tests.simulation.network import Faults
from tests.simulation.oracle import QUARANTINE, Oracle
from tests.simulation.script import Script, Step
from tests.simulation.service import Service
from tests.simulation.stories import STORIES
from tests.simulation.users import USER_ACTIONS, Users
from tests.simulation.vocabulary import SIZES
from tests.simulation.world import Broken, Crash, Hook, Process, World

PUSHES_TO_SILENCE = 7
CALM = Faults()
_QUICK_ACTIONS = (
    "add", "edit", "delete", "move", "rename", "copy", "put back", "put back", "rot", "web add", "web remove",
    "lock folder", "unmount", "replace", "repair",
)  # fmt: skip
DISK_STEPS = frozenset(
    ("create", "write", "write on", "sync", "rename", "sync folder", "mkdir", "remove", "open", "list")
)
_STALLS = frozenset(("send", "submit", "open", "rename", "answered"))


@dataclass(slots=True)
class Outcome:
    """How a walk ended: the broken promise, if any; its story, if asked for; how many effects it had."""

    broken: Broken | None
    story: list[str]
    effects: int


def walk(script: Script, databases: Databases, tell: bool = False) -> Outcome:
    """Plays one script. The same script gives the same story, always."""
    databases.reset()
    world = World(tell)
    play = Play(script, databases, world)
    broken = None
    try:
        if script.day is not None:
            play_day(play)
        else:
            play.play()
    except Broken as error:
        # Without its traceback, which would keep half-read queries alive, and with them their locks.
        broken = error.with_traceback(None)
        broken.__context__ = broken.__cause__ = None
    finally:
        play.close()
    return Outcome(broken, world.story or [], world.effects)


class Play:
    def __init__(self, script: Script, databases: Databases, world: World) -> None:
        self.script = script
        self.world = world
        self.service = Service(world, script.switches, script.limit, script.window, script.terms)
        words = script.words
        self.service.sizes = bool(words & {"forged uids", SIZES})
        self.service.counts_ahead = "counts ahead" in words
        self.service.repeats_titles = "titles like errors" in words
        self.service.odd = random.Random(script.seed) if "odd numbers" in words else None
        self.oracle = Oracle(world, self.service)
        self.users = Users(world, script)
        self.databases = databases
        self.runs: list[Run] = []
        budget = script.limit, script.window
        machines = [Machine(world, "a", databases, script.grain, budget)]
        if script.stores > 1 and not script.one_machine:
            machines.append(Machine(world, "b", databases, script.grain, budget))
        for machine in machines:
            machine.volume.keeps_inodes = "made-up inodes" not in words
        self.stores = []
        for number in range(script.stores):
            machine = machines[number % len(machines)]
            store = Store(machine, "AB"[number], self.service, self.oracle, Allowance(floor=script.floor))
            store.class_remove = script.class_remove
            # Plans of a few samples at a time, in some walks.
            store.batch_size = 2 if script.seed % 3 == 0 else store.batch_size
            store.faults = script.faults
            if script.owns:
                store.owned = OwnedClasses(script.owns[number])
            self.stores.append(store)
        self.oracle.stores = self.stores

    def play(self) -> None:
        draw = random.Random(self.script.seed ^ 0x5EED)
        self.world.tell(lambda: f"seed {self.script.seed}: {self.script.switches}, limit {self.script.limit}")
        for store in self.stores:
            for _ in range(draw.randint(1, 6)):
                self.users.act("add", store, draw)
        if draw.random() < 0.3:
            # A class that is worth one request instead of many.
            for number in range(draw.randint(3, 5)):
                path = f"{self.script.titles[1]}/c{number}.png"
                self.users.write(self.stores[0], path, number)
                self.world.tell(f"{self.stores[0].name}: add: {path}")
        for _ in range(draw.choice((0, 0, 1, 3))):
            self.users.act("web add", self.stores[0], draw)
        for step in self.script.steps:
            self.step(step)
            self.check()
        self.settle()
        if self.script.terms is not None:
            training.bring_in(self)
            training.go_back(self)
        self.converge()

    def step(self, step: Step) -> None:
        world, draw = self.world, random.Random(step.seed)
        if step.gap:
            world.run_until(world.time + step.gap)
        store = self.stores[step.store % len(self.stores)]
        if step.kind in USER_ACTIONS:
            self.users.act(step.kind, store, draw)
        elif step.kind in training.STEPS:
            training.step(self, step, store, draw)
        elif step.kind.startswith("push") or step.kind == "status":
            self.run(store, step, draw)
        elif step.kind in CORNERS:
            CORNERS[step.kind](self, store, draw)
        elif step.kind in STORIES:
            STORIES[step.kind](self, store, draw)
        elif step.kind == "kill":
            for run in store.live:
                run.kill()
        elif step.kind == "stop":
            for run in store.live:
                world.tell(lambda run=run: f"{run.name} is asked to stop")
                run.ask_to_stop()
        elif step.kind == "cut power":
            self.cut_power(store, draw)
        elif step.kind == "jump":
            world.run_until(world.time + draw.choice((1.0, 10.0, 59.0, 61.0, 600.0)))
        elif step.kind == "set clock":
            store.machine.wall_offset += draw.choice((-3600.0, -100.0, -61.0, 30.0, 3600.0))
            world.tell(lambda: f"{store.machine.name}: the clock is {store.machine.wall_offset:g} s wrong")

    def run(self, store: Store, step: Step, draw: random.Random) -> None:
        answer = draw.random() < 0.5

        def consent(_: object) -> bool:
            return answer or step.kind == "push consent"

        run = store.start(
            step.seed,
            step.kind if step.kind in ("status", *training.COMMANDS) else "push",
            consent=consent,
            retry=step.kind == "push retry",
        )
        self.runs.append(run)
        self.trouble(run, store, draw)
        if step.wait:
            self.wait_for(run)

    def trouble(self, run: Run, store: Store, draw: random.Random) -> None:
        """Puts accidents on the way of a run."""
        chances = self.script.trouble
        hooks: dict[str, Hook] = {
            "crash": lambda process, _: process.kill(),
            "user": self.user_at(store, draw),
            "user too": self.user_at(store, draw),
            "disk": self.disk_fault(draw),
            "database": self.database_fault(draw),
            "stall": self.stall(draw),
        }
        for kind, chance in chances.items():
            if draw.random() < chance:
                at = int(draw.choice((20, 80, 200)) * draw.random()) + 1
                run.due.setdefault(at, hooks[kind])

    def user_at(self, store: Store, draw: random.Random) -> Hook:
        kind = draw.choice(_QUICK_ACTIONS)
        return lambda _process, _what: self.users.act(kind, store, draw)

    def disk_fault(self, draw: random.Random) -> Hook:
        number = draw.choice((errno.ENOSPC, errno.EIO, errno.EACCES))
        for_ever = draw.random() < 0.3

        def fail(process: Process, what: str) -> None:
            if what not in DISK_STEPS:
                _later(process, fail)
                return
            process.world.tell(lambda: f"{process.name}: {what} fails: {errno.errorcode[number]}")
            process.failed.add(what)
            if for_ever:
                process.due.setdefault(process.count + 1, fail)
            raise OSError(number, errno.errorcode[number])

        return fail

    def database_fault(self, draw: random.Random) -> Hook:
        code = draw.choice((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY))

        def fail(process: Process, what: str) -> None:
            if not what.startswith("commit "):
                _later(process, fail)
                return
            process.world.tell(lambda: f"{process.name}: {what} fails")
            process.failed.add(what)
            error = sqlite3.OperationalError("simulated")
            error.sqlite_errorcode = code
            raise error

        return fail

    def stall(self, draw: random.Random) -> Hook:
        seconds = draw.choice((1.0, 20.0, 70.0, 200.0))

        def stall(process: Process, what: str) -> None:
            if what not in _STALLS:
                _later(process, stall)
                return
            # Between the last look at the clock and the sending itself nothing can help against a long stall.
            pause = min(seconds, 20.0) if what == "send" else seconds
            process.world.tell(lambda: f"{process.name} stalls for {pause:g} s before {what}")
            process.freeze(pause)

        return stall

    def cut_power(self, store: Store, draw: random.Random) -> None:
        machine = store.machine
        self.world.tell(lambda: f"{machine.name}: power cut")
        machine.boots += 1
        for other in self.stores:
            if other.machine is machine:
                for run in other.live:
                    run.kill()
                if draw.random() < 0.3 and other.name in self.users.copies:
                    other.databases.restore(other.index_name, self.users.copies[other.name])
        machine.volume.cut_power(draw)
        self.world.run_until(self.world.time + draw.choice((0.5, 5.0, 40.0)))
        machine.booted_at = self.world.time

    def wait_for(self, run: Run) -> None:
        self.world.run_while(lambda: not run.ended)
        error = getattr(run.result, "error", None)
        self.oracle.gives_up(run, error or run.error)
        if error is not None:
            self.world.tell(lambda: f"{run.name} gives up: {type(error).__name__}: {error}")
            self.explain(run, error)
        if run.error is not None:
            self.world.tell(lambda: f"{run.name} ends: {type(run.error).__name__}: {run.error}")
            self.explain(run, run.error)

    def explain(self, run: Run, error: BaseException) -> None:
        """What ends a run must be an error with a message for the user."""
        from astica_sync.errors import AsticaSyncError

        if not isinstance(error, AsticaSyncError | OSError):
            raise Broken(9, f"{run.name} ends with {type(error).__name__}: {error}") from error

    def check(self) -> None:
        for store in self.stores:
            self.oracle.check_backup(store)
        if self.world.broken:
            raise self.world.broken

    def settle(self) -> None:
        """Ends all trouble: what runs comes to its end, everything can be read, late executions have happened."""
        self.world.tell("all trouble ends")
        for run in self.runs:
            run.due.clear()
        self.world.run_while(lambda: True)
        for store in self.stores:
            self.users.act("repair", store, random.Random(0))
            store.faults = CALM
        self.check()

    def converge(self) -> None:
        """Pushes until nothing is left to do, then looks at the outcome."""
        draw = random.Random(self.script.seed ^ 0xE4D)
        silent = 0
        for number in range(PUSHES_TO_SILENCE * len(self.stores)):
            store = self.stores[number % len(self.stores)]
            run = store.start(draw.getrandbits(48), consent=lambda _: True, retry=number < len(self.stores))
            self.runs.append(run)
            # An id that is given again looks for a quarantine like the sample that was removed.
            switches = self.script.switches
            unclear = max(switches.lag, QUARANTINE + 1.0 if switches.ids_reused else 0.0)
            shows_all = self.world.time - self.service.last_change > unclear
            self.wait_for(run)
            self.world.run_while(lambda: True)
            requests = run.connection.posts if run.connection else 0
            silent = silent + 1 if requests == 1 and run.error is None and shows_all else 0
            if silent >= len(self.stores):
                break
            early = number < 2 * len(self.stores)
            self.world.run_until(self.world.time + (draw.choice((0.0, 30.0, 100.0)) if early else 61.0))
        else:
            self.world.violate(4, "pushes do not come to an end")
        self.check()
        for store in self.stores:
            self.oracle.check_end(store)
        if self.world.broken:
            raise self.world.broken

    def close(self) -> None:
        for run in self.runs:
            run.kill()


def _later(process: Process, hook: Hook) -> None:
    process.due.setdefault(process.count + 1, hook)


__all__ = ["Crash", "Outcome", "replace", "walk"]
