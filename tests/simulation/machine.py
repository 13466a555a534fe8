"""A simulated machine: its disk, its clocks, its databases, and the processes that run on it."""

import contextlib
import errno
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from astica_sync.core.owned_classes import ALL_CLASSES
from astica_sync.core.plan.guard import Allowance, Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.recipe import Recipe
from astica_sync.core.watch.watch_status import WatchStatus
from astica_sync.errors import ImageRejected, Interrupted, StoreBusy
from astica_sync.local.backup.backup import Backup
from astica_sync.local.db.journal import Journal
from astica_sync.local.image.prepare.preparer import Prepared
from astica_sync.local.layout import Layout
from astica_sync.local.lock import WATCHER_WAIT_S
from astica_sync.local.store_sentinel import new_sentinel, read_sentinel, remember_root
from astica_sync.remote import rate_limiter as rate_limiter_module
from astica_sync.remote.rate_limited_client import RateLimitedClient as Account
from astica_sync.sync.apply.thread_pool import TaskResult
from astica_sync.sync.plan import find_status as status
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.push import push
from astica_sync.sync.session import LocalSide, Policy, RemoteSide, Runtime, Session
from tests.simulation import training
from tests.simulation.databases import Databases, SimIndex
from tests.simulation.filesystem import Node, SimFileSystem, SimVolume
from tests.simulation.network import Faults, SimClient, SimConnection
from tests.simulation.oracle import TIFF, Oracle, converted_by
from tests.simulation.service import MODEL, Service
from tests.simulation.watch import Day, SimFsEvents, watch
from tests.simulation.world import Crash, Process, World

QUARANTINE = 60.0


class Run(Process):
    """One run of the program on one store."""

    def __init__(self, store: "Store", name: str, draw: random.Random, command: str = "push") -> None:
        super().__init__(store.machine.world, name)
        self.store = store
        self.command = command
        self.store_name = store.name
        self.draw = draw
        self.run_id = name
        self.posts = 0
        self.connection: SimConnection | None = None
        self.wall_offset = store.machine.wall_offset
        self.oracle_notes: Any = None
        self.report: WatchStatus | None = None
        """What a watcher says about itself."""
        self.asked_with = 0
        """The store's settings when the last request left."""
        self.forgiven_until = 0.0
        """Until when it may look whether its key is good again."""
        self.refused: tuple[float, int] | None = None
        """When the service refused the key, and with which settings."""
        self.recipe = store.recipe
        """By which it converts images: that of the settings when it began."""
        self.owned = store.owned
        """The classes that it manages, likewise."""
        self.answers: dict[int, str] = {}
        """The faults of requests by their number, where a sweep says them."""


class SimClock:
    """The clocks of one run: ticks of the machine, and a wall clock anchored once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._machine = run.store.machine
        self._anchor = self._machine.wall() - self.ticks()
        run.wall_offset = self._machine.wall_offset

    def now(self) -> float:
        return self._anchor + self.ticks()

    def ticks(self) -> float:
        return self._machine.ticks()

    def sleep(self, seconds: float) -> None:
        run = self._run
        if run.stopping:
            raise Interrupted("stopped")
        run.wait(run.world.time + max(0.0, seconds), interruptible=True)
        if run.stopping:
            raise Interrupted("stopped")


class SimWorkerPool:
    """Workers whose pieces take virtual time and end in an order the seed decides."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._finished: deque[TaskResult] = deque()
        self._wake: Callable[[], None] | None = None
        self.slow = run.draw.random() < 0.2

    def submit(self, work: Callable[[], Any], tag: Any) -> None:
        run = self._run
        run.effect("submit")
        sends = "sent" in tag

        def piece() -> None:
            if not sends:
                run.wait(run.world.time + run.draw.random() * (5.0 if self.slow else 0.02))
            try:
                if run.ended:
                    return
                done = TaskResult(tag, work())
            except Crash:
                raise
            except BaseException as error:  # noqa: BLE001
                done = TaskResult(tag, error=error)
            self._finished.append(done)
            if self._wake is not None:
                run.world.at(run.world.time, self._wake)

        run.spawn(piece)

    def next_done(self, timeout: float | None) -> TaskResult | None:
        if not self._finished and timeout != 0:
            run = self._run
            wake = self._wake = run.waker()
            if timeout is not None:
                run.world.at(run.world.time + timeout, wake)
            run.pause()
            self._wake = None
        return self._finished.popleft() if self._finished else None


class SimStateFileSystem(SimFileSystem):
    """The disk of a process that writes to the store's hidden folder and nowhere else in it."""

    def __init__(self, volume: SimVolume, run: Run) -> None:
        super().__init__(volume, run)
        self._run = run

    def _create(self, path: Path) -> Node:
        self._stay_out(path)
        self._find_room()
        return super()._create(path)

    def _write(self, node: Node, data: bytes) -> None:
        self._find_room()
        super()._write(node, data)

    def _find_room(self) -> None:
        if self._run.world.time < self._run.store.machine.full_until:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def publish(self, temp: Path, target: Path) -> None:
        self._stay_out(target)
        super().publish(temp, target)

    def remove(self, path: Path) -> None:
        self._stay_out(path)
        super().remove(path)

    def _stay_out(self, path: Path) -> None:
        store = self._run.store
        if str(path).startswith(f"{store.root}/") and not str(path).startswith(f"{store.layout.state}/"):
            self._run.world.violate(11, f"{self._run.name} changes {path} in the store")


class SimDecoder:
    """Every image whose bytes say so is broken."""

    def __init__(self, fs: SimFileSystem) -> None:
        self._fs = fs

    def check(self, path: Path) -> str | None:
        with self._fs.open_read(path) as file:
            return self.check_bytes(file.read())

    def check_bytes(self, data: bytes) -> str | None:
        return "broken image" if b"broken" in data else None


class SimPreparer:
    """Converts an image so that the oracle can tell what it was."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def prepare_file(self, files: SimFileSystem, path: Path) -> Prepared:
        with files.open_read(path) as file:
            return self.prepare(file.read())

    def convert(self, data: bytes) -> bytes:
        return self.prepare(data).data if data.startswith(TIFF) else data

    def prepare(self, data: bytes) -> Prepared:
        if b"broken" in data:
            raise ImageRejected("broken image")
        return Prepared(converted_by(self.recipe, data), 1, 1, ())


class SimListener(ProgressListener):
    """Tells the oracle about every plan."""

    def __init__(self, run: Run, oracle: Oracle) -> None:
        self._run = run
        self._oracle = oracle

    def phase(self, text: str) -> None:
        if text.startswith("Scanning"):
            self._oracle.scanning(self._run)

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        self._oracle.planned(self._run, plan, refusals)

    def waits(self, seconds: float, why: str) -> None:
        if "answers were lost" in why and seconds > QUARANTINE + 0.001:
            self._run.world.violate(5, f"{self._run.name} waits for {seconds:.0f} s, more than the quarantine")
        self._run.world.tell(lambda: f"{self._run.name}: waits {seconds:.1f} s: {why}")


class Init:
    """The process that made the store before the walk began; nothing happens to it."""

    def effect(self, kind: str) -> None:
        pass


class Machine:
    """One computer. ``boots`` counts its starts, ``wall_offset`` is how wrong its clock is."""

    def __init__(self, world: World, name: str, databases: Databases, grain: int, budget: tuple[int, float]) -> None:
        self.world = world
        self.name = name
        self.base = f"{databases.base}/{name}"
        self.databases = databases
        self.volume = SimVolume(world, grain)
        self.limit, self.window = budget
        self.boots = 1
        self.booted_at = world.time - 1000.0
        self.wall_offset = 0.0
        self.ledger = Path(f"{self.base}/budget.db")
        self.store_names: set[str] = set()
        self.full_until = 0.0
        """Until when its disk is full."""

    def ticks(self) -> float:
        return self.world.time - self.booted_at

    def wall(self) -> float:
        return self.world.time + self.wall_offset


class Store:
    """One store on one machine, and the promises' view of it."""

    def __init__(self, machine: Machine, name: str, service: Service, oracle: Oracle, allowance: Allowance) -> None:
        self.machine = machine
        machine.store_names.add(name)
        self.world = machine.world
        self.name = name
        self.service = service
        self.oracle = oracle
        self.allowance = allowance
        self.class_remove = True
        self.batch_size = 20_000
        self.root = f"{machine.base}/{name}"
        self.layout = Layout(Path(self.root))
        self.index_name, self.journal_name = str(self.layout.index_db), str(self.layout.journal_db)
        self.scans: set[str] = set()
        self.holder: Run | None = None
        self.runs = 0
        self.live: list[Run] = []
        self.faults = Faults()
        self.listeners: list[SimFsEvents] = []
        """Who event_quality of changes in it."""
        self.watcher: Run | None = None
        self.recipe = Recipe()
        """By which images are converted from now on."""
        self.owned = ALL_CLASSES
        """The classes that the store manages from now on."""
        self.settings = 0
        """Differs whenever the user has changed the settings."""
        volume = machine.volume
        self.tree = volume.make_folder(self.root)
        self.mounted = True
        volume.make_folder(f"{self.root}/.astica-sync")
        init: Any = SimFileSystem(volume, Init())
        sentinel = new_sentinel(self.layout, init, (f"id of {name}", MODEL, SimConnection.url), 0.0)
        volume.write(f"{self.root}/.astica-sync/store.json", sentinel.to_json())
        remember_root(self.layout, init)
        self.databases = machine.databases

    def durable(self, path: str) -> bytes | None:
        """What a power cut would leave of a file of the store, wherever its disk is mounted."""
        return self.machine.volume.durable_file(self.tree, path)

    def shown(self, path: str) -> Node | None:
        node: Node | None = self.tree
        for name in path.split("/"):
            node = node.entries.get(name) if node else None
        return node

    def start(
        self,
        seed: int,
        command: str = "push",
        *,
        consent: Callable[[list[Refusal]], bool] = lambda _: False,
        retry: bool = False,
        faults: Faults | None = None,
        day: Day | None = None,
    ) -> Run:
        """Starts one run of the program; it goes on in the world's time."""
        self.runs += 1
        run = Run(self, f"{self.name}{self.runs}", random.Random(seed), command)
        run.oracle_notes = self.oracle.begin(run, retry)
        self.live = [other for other in self.live if not other.gone]
        self.live.append(run)
        run.on_end.append(lambda: self._release(run))

        def asked(refusals: list[Refusal]) -> bool:
            agreed = consent(refusals)
            self.oracle.consented(run, refusals, agreed)
            return agreed

        def work() -> Any:
            if command == "watch":
                assert day is not None
                return watch(run, self, day)
            session = self.session_for(run, faults or self.faults)
            if command == "push":
                return push.push(session, consent=asked, naming=lambda _: True, retry=retry)
            if command == "push as":
                return training.push_as(run, session, seed, consent=asked, naming=lambda _: True, retry=retry)
            if command in training.COMMANDS:
                return training.run_command(command, run, session, seed)
            return self._look(run, session)

        def work_and_claim() -> Any:
            run.result = work()
            # Now, before anybody else changes what it speaks of.
            self.oracle.ended(run)
            return run.result

        self.world.tell(lambda: f"{run.name}: {command} begins")
        run.start(work_and_claim)
        return run

    def _look(self, run: Run, session: Session) -> status.StoreStatus:
        """A status is quick, and says what a whole comparison says."""
        before = self.world.epoch, session.local.journal.marks_name()
        seen = status.find_status(session, quick=True)
        whole = status.plan_round(session, seen.scan, seen.observation)
        if seen.plan != whole.plan and before == (self.world.epoch, session.local.journal.marks_name()):
            self.world.violate(4, f"{run.name} remembers a comparison wrongly: {seen.plan} instead of {whole.plan}")
        return seen

    @contextlib.contextmanager
    def lock(self, layout: Layout, run: Run) -> Iterator[None]:
        """The writer lock: who dies gives it back."""
        run.effect("lock")
        self._wait_for_piece(run)
        if self.is_busy():
            raise StoreBusy("another process writes this store")
        self.holder = run
        try:
            yield
        finally:
            self._release(run)

    def is_busy(self) -> bool:
        """Whether some run holds the writer lock."""
        return self.holder is not None

    def _wait_for_piece(self, run: Run) -> None:
        """A push gives a watcher the time to finish what it is at, as the real lock does."""
        patient_until = run.world.time + WATCHER_WAIT_S
        while self.holder is not None and self.holder is self.watcher and run.world.time < patient_until:
            run.wait(run.world.time + 0.5)

    def _release(self, run: Run) -> None:
        if self.holder is run:
            self.holder = None
            run.oracle_notes.changes = 0

    def disk_for(self, run: Run) -> Any:
        return SimStateFileSystem(self.machine.volume, run)

    def session_for(self, run: Run, faults: Faults, index_type: type[SimIndex] = SimIndex) -> Session:
        """Everything a run of the program works with."""
        machine = self.machine
        fs = self.disk_for(run)
        clock = SimClock(run)
        sentinel = read_sentinel(self.layout, fs)
        run.connection = connection = SimConnection(run, machine, self.service, faults, self.oracle, run.draw)
        connection.scripted = run.answers
        budget = rate_limiter_module.RateLimiter(
            machine.ledger, name="train", limit=machine.limit, window=machine.window, clock=clock
        )
        index = index_type(self.layout.index_db)
        index.scans = self.scans
        run.recipe, run.owned = self.recipe, self.owned
        index.use_recipe(run.recipe)
        return Session(
            LocalSide(
                self.layout,
                fs,
                index,
                Journal(self.layout.journal_db, run.run_id),
                Backup(self.layout.backup, fs),
                SimDecoder(fs),  # type: ignore[arg-type]
                SimPreparer(run.recipe),  # type: ignore[arg-type]
                lock=lambda layout: self.lock(layout, run),
                hash_threads=0,
            ),
            RemoteSide(Account(SimClient(connection, clock), budget, budget, clock), sentinel.model_id),
            Runtime(clock, SimWorkerPool(run), clock.now(), lambda: run.stopping),
            Policy(QUARANTINE, self.class_remove, self.allowance, self.batch_size, run.owned),
            SimListener(run, self.oracle),
        )
