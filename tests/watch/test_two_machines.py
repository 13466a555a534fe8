"""Two machines with a watcher each on one model and one budget server, through edits, kills, splits and restarts."""

import contextlib
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.budget_servers import (
    BudgetServerProcess,
    postgres_server,
    redis_server,
)
from tests.harness.fleet_machine import Machine, Relay, machines
from tests.harness.shell import draw, in_store, on_service
from tests.harness.watch_process import wait_until

# Real processes that wait for real limits.
pytestmark = pytest.mark.long

LIMIT, WINDOW = 20, 3.0
STEPS = 60
OWNS = {"lab-desk": ("Can", "Bottle"), "line-1": ("Box",)}
BETWEEN_STEPS = 0.4
PATIENCE = 240.0


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[BudgetServerProcess]:
    pytest.importorskip({"redis": "redis", "postgres": "psycopg"}[request.param])
    with redis_server() if request.param == "redis" else postgres_server() as server:
        yield server


class Fleet:
    """The two machines, what is between them and the servers, and what happens to them."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, server: BudgetServerProcess) -> None:
        self.sandbox, self.server = sandbox, server
        sandbox.set_limit(LIMIT, WINDOW)
        self.model = sandbox.add_model()
        self.service = Relay(urlsplit(sandbox.url).port or 0)
        self.budgets = {name: Relay(server.port) for name in OWNS}
        self.environ = {name: self._environ(name) for name in OWNS}
        self.machines: list[Machine] = []
        self.number = 0

    def _environ(self, name: str) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.service.port}"
        scheme, rest = self.server.address.split("://")
        user, database = rest.rpartition("@")[0], rest.rpartition("/")[2]
        return {
            "ASTICA_TRAIN_URL": url,
            "ASTICA_DETECT_URL": url,
            "ASTICA_API_KEY": self.sandbox.key,
            "ASTICA_LIMIT": str(LIMIT),
            "ASTICA_LIMIT_WINDOW": str(WINDOW),
            "ASTICA_QUARANTINE": "1",
            "ASTICA_BUDGET": f"{scheme}://{user}@127.0.0.1:{self.budgets[name].port}/{database}",
            "ASTICA_BUDGET_SHARE": "0.2",
            "ASTICA_BUDGET_POOL": "0.6",
        }

    def begin(self) -> None:
        """Makes both stores and starts both watchers."""
        for machine in self.machines:
            settings = Path(machine.environ["HOME"]) / ".config" / "astica-sync" / "config.toml"
            settings.parent.mkdir(parents=True)
            # The walk deletes more than a user would in a day.
            settings.write_text("min_remove = 1000\nmax_remove = 1.0\nmax_remove_class = 1.0\n")
            for title in OWNS[machine.name]:
                for _ in range(4):
                    self.add(machine, title, "keeper")
            titles = ", ".join(map(repr, OWNS[machine.name]))
            (machine.store / "astica-sync.toml").write_text(f"owns = [{titles}]\nsettle = 0.2\nobserve_every = 5\n")
            made = machine.run("init", machine.store, "--model", str(self.model), "--yes")
            assert made.code == 0, made.err
            machine.watch()

    def add(self, machine: Machine, title: str, kind: str = "file") -> Path:
        self.number += 1
        path = machine.store / title / f"{kind}{self.number}.png"
        # A file that is complete when it appears.
        made = draw(machine.store / ".made.png", self.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        made.rename(path)
        return path

    def step(self, rng: random.Random) -> None:
        machine = rng.choice(self.machines)
        title = rng.choice(OWNS[machine.name])
        files = sorted((machine.store / title).glob("file*"))
        kind = rng.choices(
            ("add", "delete", "move", "foreign", "shared", "kill", "split", "join", "restart", "service"),
            (30, 8, 6, 5, 4, 6, 5, 8, 2, 3),
        )[0]
        if kind == "add":
            self.add(machine, title)
        elif kind == "delete" and len(files) > 1:
            rng.choice(files).unlink()
        elif kind == "move" and files:
            file = rng.choice(files)
            target = machine.store / rng.choice(OWNS[machine.name]) / file.name
            if not target.exists():
                file.rename(target)
        elif kind == "foreign":
            # In a folder of the other one's class.
            others = next(titles for name, titles in OWNS.items() if name != machine.name)
            self.add(machine, others[0])
        elif kind == "shared" and files:
            # The same image in both stores, in a class of each.
            other = next(one for one in self.machines if one is not machine)
            shutil.copy(files[0], other.store / OWNS[other.name][0] / f"file-shared{self.number}.png")
        elif kind == "kill":
            machine.kill()
            machine.watch()
        elif kind == "split":
            self.budgets[machine.name].cut()
        elif kind == "join":
            self.restore()
        elif kind == "restart":
            self.server.stop(signal.SIGKILL)
            self.server.start()
        elif kind == "service":
            self.service.cut()

    def restore(self) -> None:
        self.service.restore()
        for relay in self.budgets.values():
            relay.restore()

    def owned(self) -> Counter[tuple[str, bytes]]:
        """What the service is to hold: each image of each store in the classes that it owns, once."""
        found: Counter[tuple[str, bytes]] = Counter()
        for machine in self.machines:
            titles = {title.casefold() for title in OWNS[machine.name]}
            found += Counter({key: count for key, count in in_store(machine.store).items() if key[0] in titles})
        return found

    def keepers(self) -> dict[bytes, int]:
        """The sample of each image that is never changed."""
        kept = {path.read_bytes() for one in self.machines for path in one.store.glob("*/keeper*")}
        return {one.image: one.sample_id for one in self.sandbox.samples(self.model) if one.image in kept}

    def is_in_sync(self) -> bool:
        return on_service(self.sandbox, self.model) == self.owned()

    def close(self) -> None:
        for relay in (self.service, *self.budgets.values()):
            relay.close()


@pytest.fixture
def fleet(tmp_path: Path, sandbox: RunningSandbox, server: BudgetServerProcess) -> Iterator[Fleet]:
    with contextlib.closing(Fleet(tmp_path, sandbox, server)) as made, machines(tmp_path, made.environ) as both:
        made.machines = both
        yield made


def until(true: Callable[[], bool], fleet: Fleet) -> None:
    wait_until(true, PATIENCE, 0.2)
    assert fleet.sandbox.max_in_any_window(window=WINDOW) <= LIMIT


def test_each_store_keeps_its_own_through_edits_kills_splits_and_restarts(fleet: Fleet) -> None:
    fleet.begin()
    until(fleet.is_in_sync, fleet)
    kept = fleet.keepers()
    assert len(kept) == 12
    rng = random.Random(21)
    for _ in range(STEPS):
        fleet.step(rng)
        time.sleep(BETWEEN_STEPS * rng.random())
    fleet.restore()
    until(fleet.is_in_sync, fleet)
    # What was never changed is the same samples as before.
    assert fleet.keepers() == kept
    seen = fleet.machines[0].run("status", "--json", "--store", fleet.machines[0].store)
    stores = {one["store"]: one["classes"] for one in seen.json["stores"]}
    assert stores == {"line-1": ["Box"]}


def test_the_fleet_goes_on_when_its_server_is_gone_for_good(fleet: Fleet) -> None:
    fleet.begin()
    until(fleet.is_in_sync, fleet)
    kept = fleet.keepers()
    rng = random.Random(22)
    for number in range(STEPS // 2):
        if number == STEPS // 4:
            fleet.server.stop(signal.SIGKILL)
        machine = rng.choice(fleet.machines)
        fleet.add(machine, rng.choice(OWNS[machine.name]))
        if rng.random() < 0.1:
            machine.kill()
            machine.watch()
        time.sleep(BETWEEN_STEPS * rng.random())
    # Each sends within the part of the limit that is its own.
    until(fleet.is_in_sync, fleet)
    assert fleet.keepers() == kept
