"""Two machines with a watcher each on one model and one budget server, and what happens to them at random.

Time is a tenth of the usual one, see ``fleet_machine``; so is the window of the limit.
"""

import contextlib
import heapq
import itertools
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import redis

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.crash.loop import duplicated_uids
from tests.harness.budget_servers import BudgetServerProcess
from tests.harness.fleet_machine import Clock, Machine, Relay
from tests.harness.fleet_network import BUDGET, SERVICE, FleetNetwork
from tests.harness.shell import Held, draw, in_store, on_service

LIMIT, WINDOW = 20, 6.0
QUARANTINE = 8.0
PATIENCE = 240.0
ANSWER_AFTER = 20.0
"""After so many seconds without agreement, what a guard asks is answered."""
LOSSES = ("*@1%=lost-before", "*@1%=lost-after", "upload@1%=late~0.2-2s", "view@2%=5xx", "view@1%=cut")
RENAMED = {"lab-desk": ("Bottle", "Flask"), "line-1": ("Crate", "Chest")}
"""Of each machine the two titles that one of its classes has in turn."""
FIXED = {"lab-desk": "Can", "line-1": "Box"}
"""Of each machine the class that is never renamed. It has images that are never changed."""
CLOCKS = {"lab-desk": Clock(3600.0, 500_000), "line-1": Clock(-17.0, 900)}
EVENTS = {
    "add": 24,
    "add many": 2,
    "replace": 8,
    "move": 6,
    "delete": 12,
    "rename class": 1,
    "add to a class that is not owned": 2,
    "copy to the other store": 3,
    "kill": 3,
    "cut": 4,
    "hang up": 2,
}
SERVER_EVENTS = {"restart": 2, "crash": 2, "lose data": 1, "pause": 3}
SERVER_SECONDS = 40.0
"""About so many seconds pass between two events of the budget server."""
KEPT_ON_DISK = ("--appendonly", "yes", "--appendfsync", "always")
"""The options of a Redis server that has its records again after a restart."""
MOST_FILES, MOST_RENAMED = 120, 20


class FleetWalk:
    """The two machines, what is between them and the servers, and what happens to them. A fifth of the limit is the own
    part of each, and the rest that of the budget server."""

    def __init__(self, folder: Path, box: RunningSandbox, server: BudgetServerProcess, network: FleetNetwork) -> None:
        self.box, self.server, self.network = box, server, network
        self._account = folder / "sandbox" / "sandbox.db"
        self.model = box.add_model()
        self._service = Relay(int(box.url.rpartition(":")[2]), network.listen(SERVICE))
        self._budget = Relay(server.port, network.listen(BUDGET))
        self.machines = [Machine(folder, name, self._environ(), network, CLOCKS[name]) for name in (*FIXED,)]
        self.titles = {name: [FIXED[name], RENAMED[name][0]] for name in FIXED}
        """The classes that each store has now."""
        self.happened: Counter[str] = Counter()
        self.server_is_gone = False
        self._numbers = itertools.count()
        self._let_go: set[tuple[str, str]] = set()
        """Title and hash of each image that the walk took out of a class."""
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._samples: dict[bytes, int] = {}
        self.most_in_window = 0

    def _environ(self) -> dict[str, str]:
        scheme, rest = self.server.address.split("://")
        user, database = rest.rpartition("@")[0], rest.rpartition("/")[2]
        return {
            "ASTICA_TRAIN_URL": f"http://{self._service.address}",
            "ASTICA_DETECT_URL": f"http://{self._service.address}",
            "ASTICA_API_KEY": self.box.key,
            "ASTICA_LIMIT": str(LIMIT),
            "ASTICA_LIMIT_WINDOW": str(WINDOW),
            "ASTICA_QUARANTINE": str(QUARANTINE),
            "ASTICA_BUDGET": f"{scheme}://{user}@{self._budget.address}/{database}",
            "ASTICA_BUDGET_SHARE": "0.2",
            "ASTICA_BUDGET_POOL": "0.6",
        }

    def begin(self) -> None:
        """Makes both stores, starts both watchers, and waits until they are in sync."""
        for machine in self.machines:
            settings = Path(machine.environ["HOME"]) / ".config" / "astica-sync" / "config.toml"
            settings.parent.mkdir(parents=True)
            # The walk deletes more than a user would in a day.
            settings.write_text("min_remove = 100000\nmax_remove = 1.0\nmax_remove_class = 1.0\n")
            for title in self.titles[machine.name]:
                for _ in range(4):
                    self._add(machine, title, "unchanged")
            owned = [FIXED[machine.name], *RENAMED[machine.name]]
            (machine.store / "astica-sync.toml").write_text(f"owns = {owned}\nsettle = 0.2\nobserve_every = 5\n")
            made = machine.run("init", machine.store, "--model", str(self.model), "--yes")
            assert made.code == 0, made.err
            machine.watch()
        self.settle()
        self._samples = self._unchanged_samples()
        assert len(self._samples) == 8
        self.box.set_faults(*LOSSES, latency="10-250ms")

    def play(self, rng: random.Random, seconds: float, *, gently: bool = False) -> None:
        """Lets things happen for so many seconds; ``gently`` are edits alone, few of them."""
        end = time.monotonic() + seconds
        server_at = time.monotonic() + rng.random() * SERVER_SECONDS
        while (now := time.monotonic()) < end:
            while self._later and self._later[0][0] <= now:
                heapq.heappop(self._later)[2]()
            if now >= server_at and not self.server_is_gone:
                self._server_event(rng)
                server_at = now + (0.5 + rng.random()) * SERVER_SECONDS
            self._event(rng, gently)
            time.sleep(rng.random() * (4.0 if gently else 0.8))

    def settle(self) -> None:
        """Repairs everything that can be, waits until both stores are in sync, and checks what must hold always."""
        self.box.set_faults()
        while self._later:
            heapq.heappop(self._later)[2]()
        self._service.restore()
        began = answered = time.monotonic()
        while on_service(self.box, self.model) != self.owned():
            self.check_limit()
            for machine in self.machines:
                assert machine.is_watched, f"the watcher of {machine.name} has ended, see {machine.log}"
            assert time.monotonic() < began + PATIENCE, self._differences()
            if time.monotonic() > answered + ANSWER_AFTER:
                self._answer_guards()
                answered = time.monotonic()
            time.sleep(0.3)
        self.check_limit()
        assert not duplicated_uids(self._account.parent), "a sample was there twice"
        taken = self._removed() - self._let_go
        assert not taken, f"removed without a reason: {taken}"
        if self._samples:
            # What was never changed is the same samples as before.
            assert self._unchanged_samples().items() >= self._samples.items()
        self.box.set_faults(*LOSSES, latency="10-250ms")

    def check_statuses(self) -> None:
        """The status of each store says that it is in sync, and what the other one manages, where the budget server
        knows it."""
        self.box.set_faults()
        for machine in self.machines:
            seen = machine.run("status", "--exit-code", "--store", machine.store)
            assert seen.code == 0, seen.out + seen.err
            shown = machine.run("status", "--json", "--store", machine.store).json
            others = {one["store"]: set(one["classes"]) for one in shown["stores"]}
            assert (
                others == {}
                if self.server_is_gone
                else {one.name: {FIXED[one.name], *RENAMED[one.name]} for one in self.machines if one is not machine}
            )
            listed = machine.run("fleet")
            if self.server_is_gone:
                assert listed.code == 1 and "does not answer" in listed.err, listed.err

    def end_server(self) -> None:
        """The budget server is gone for good."""
        self.server.stop(signal.SIGKILL)
        self.server_is_gone = True

    def owned(self) -> Held:
        """What the service is to hold: each image of each store in the classes that it owns, once."""
        found: Held = Counter()
        for machine in self.machines:
            titles = {title.casefold() for title in self.titles[machine.name]}
            found += Counter({key: count for key, count in in_store(machine.store).items() if key[0] in titles})
        return found

    def check_limit(self) -> None:
        self.most_in_window = max(self.most_in_window, self.box.max_in_any_window(window=WINDOW))
        assert self.most_in_window <= LIMIT, f"{self.most_in_window} requests in one window, {LIMIT} are allowed"
        assert not [request for request in self.box.log if request.outcome == "limited"], "a request was refused"

    def close(self) -> None:
        for machine in self.machines:
            machine.kill()
        for relay in (self._service, self._budget):
            relay.close()

    # What happens.

    def _event(self, rng: random.Random, gently: bool) -> None:
        machine = rng.choice(self.machines)
        title = rng.choice(self.titles[machine.name])
        files = sorted((machine.store / title).glob("file*"))
        kind = rng.choices(list(EVENTS), list(EVENTS.values()))[0]
        if gently and kind not in ("replace", "move", "delete"):
            kind = "add"
        if title != FIXED[machine.name]:
            # Where a file of a class is deleted while all others move to another one, the guard asks the user.
            files = files if kind == "copy to the other store" else []
            if kind.startswith("add") and len(list((machine.store / title).iterdir())) > MOST_RENAMED:
                return
        elif kind.startswith("add") and len(files) > MOST_FILES:
            kind = "delete"
        match kind:
            case "add":
                self._add(machine, title, "file")
            case "add many":
                for _ in range(15):
                    self._add(machine, title, "file")
            case "replace" if files:
                file = rng.choice(files)
                self._lets_go(file)
                self._draw(machine).rename(file)
            case "move" if files:
                file = rng.choice(files)
                target = machine.store / rng.choice(self.titles[machine.name]) / file.name
                if not target.exists():
                    self._lets_go(file)
                    file.rename(target)
            case "delete" if files:
                file = rng.choice(files)
                self._lets_go(file)
                file.unlink()
            case "rename class":
                self._rename_class(machine)
            case "add to a class that is not owned":
                self._add(machine, next(one for one in FIXED.values() if one != FIXED[machine.name]), "file")
            case "copy to the other store" if files:
                other = next(one for one in self.machines if one is not machine)
                shutil.copy(files[0], other.store / FIXED[other.name] / f"file{next(self._numbers)}-copy.png")
            case "kill" if machine.is_watched:
                machine.kill()
                self._do_later(rng.choice((0.0, 0.0, 4.0, 12.0)), machine.watch)
            case "cut":
                wire = rng.choice((SERVICE, BUDGET))
                rng.choice((self.network.unplug, self.network.silence, self.network.deafen))(machine.name, wire)
                seconds = rng.choice((0.5, 2.0, 5.0, 8.0, 20.0))
                self._do_later(seconds, lambda: self.network.restore(machine.name, wire))
                kind = f"cut off from the {wire} server" if wire == BUDGET else "cut off from the service"
            case "hang up":
                self._service.cut()
                self._do_later(rng.random() * 3, self._service.restore)
            case _:
                return
        self.happened[kind] += 1

    def _server_event(self, rng: random.Random) -> None:
        kind = rng.choices(list(SERVER_EVENTS), list(SERVER_EVENTS.values()))[0]
        if kind == "pause":
            self.server.pause()
            self._do_later(rng.choice((0.5, 3.0, 10.0)), self.server.resume)
        elif kind == "lose data" and self.server.address.startswith("redis"):
            with contextlib.closing(redis.Redis.from_url(self.server.address)) as client:
                client.flushall()
        else:
            # A crash empties the tables of PostgreSQL.
            self.server.stop(signal.SIGINT if kind == "restart" else signal.SIGKILL)
            self.server.start()
        self.happened[f"budget server: {kind}"] += 1

    def _rename_class(self, machine: Machine) -> None:
        old = self.titles[machine.name][1]
        new = next(title for title in RENAMED[machine.name] if title != old)
        for file in (machine.store / old).iterdir():
            self._lets_go(file)
        (machine.store / old).rename(machine.store / new)
        self.titles[machine.name][1] = new

    def _add(self, machine: Machine, title: str, kind: str) -> None:
        path = machine.store / title / f"{kind}{next(self._numbers)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._draw(machine).rename(path)

    def _draw(self, machine: Machine) -> Path:
        """A file that is complete when it appears."""
        return draw(machine.store / ".drawn" / "image.png", next(self._numbers))

    def _lets_go(self, file: Path) -> None:
        self._let_go.add((file.parent.name, sha256(file.read_bytes()).hexdigest()))

    def _do_later(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), what))

    # What is there.

    def _answer_guards(self) -> None:
        """Does what the watchers say where they do not remove by themselves, as after a class that was renamed to and
        fro while the service was away: the image was in both."""
        for machine in self.machines:
            if machine.run("watch", "status", "--json", "--store", machine.store).json["refusals"]:
                machine.run("push", "--yes", "--store", machine.store)
                self.happened["guard answered"] += 1

    def _removed(self) -> set[tuple[str, str]]:
        """Title and hash of each sample that was ever removed."""
        with contextlib.closing(sqlite3.connect(self._account)) as account:
            rows = account.execute(
                "SELECT c.title, s.image FROM samples s JOIN classes c ON c.id = s.class_id WHERE s.removed IS NOT NULL"
            )
            return set(rows.fetchall())

    def _unchanged_samples(self) -> dict[bytes, int]:
        """The sample of each image that is never changed, in a class that is never renamed."""
        kept = {path.read_bytes() for one in self.machines for path in (one.store / FIXED[one.name]).glob("unchanged*")}
        return {
            one.image: one.sample_id
            for one in self.box.samples(self.model)
            if one.image in kept and one.class_title in FIXED.values()
        }

    def _differences(self) -> str:
        there, expected = on_service(self.box, self.model), self.owned()
        missing, extra = expected - there, there - expected
        return (
            f"not in sync: missing {Counter(title for title, _ in missing.elements())},"
            f" extra {Counter(title for title, _ in extra.elements())}"
        )


@contextlib.contextmanager
def fleet_walk(folder: Path, server: BudgetServerProcess) -> Iterator[FleetWalk]:
    """A walk in this folder, before its beginning."""
    with (
        contextlib.closing(FleetNetwork()) as network,
        running(folder / "sandbox", limit=LIMIT, window=WINDOW) as box,
        contextlib.closing(FleetWalk(folder, box, server, network)) as walk,
    ):
        yield walk
