"""A watcher that lives for days in virtual time: the watcher, its lifecycle and their clockwork of production, over
simulated files, events, clocks and a service that comes and goes.

The system's word about changes may come at once, late, twice, or not at all.
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from astica_sync.errors import StoreBusy, StoreError
from astica_sync.local.layout import Layout
from astica_sync.sync.watch.change_queue import ChangeQueue
from astica_sync.sync.watch.run_watchers import run_watchers
from astica_sync.sync.watch.store_watcher import WatchedStore, WatchOptions
from astica_sync.sync.watch.watcher_lifecycle import StoreOpener, WatcherLifecycle, WatchSystem
from tests.simulation.databases import SimIndex
from tests.simulation.filesystem import Node
from tests.simulation.world import current

if TYPE_CHECKING:
    from tests.simulation.machine import Run, Store

PIECE = 8


@dataclass(frozen=True, slots=True)
class Day:
    """How a store is watched for days. ``event_quality`` is how the system reports changes: "well", "badly" (late,
    twice, or never) or "nothing"; ``observe_every``, ``heartbeat`` and ``scan``, the time a scan takes, are seconds."""

    seed: int
    event_quality: str
    observe_every: float
    heartbeat: float
    scan: float


class SimWake:
    """Wakes the one strand that watches."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._rung = False
        self._wake: Callable[[], None] | None = None

    def ring(self) -> None:
        self._rung = True
        if self._wake is not None:
            self._run.world.at(self._run.world.time, self._wake)

    def wait(self, seconds: float) -> bool:
        run = self._run
        run.effect("watch")
        if not self._rung:
            # What sleeps is woken by a stop as well.
            self._wake = run.waker()
            run.world.at(run.world.time + max(seconds, 0.001), self._wake)
            run.on_stop.append(self._wake)
            if not run.stopping:
                run.pause()
            run.on_stop.clear()
            self._wake = None
        rung, self._rung = self._rung, False
        return rung


class SimFsEvents:
    """What stands for ``astica_sync.sync.watch.fs_events.FsEvents``: reports changes in the store, as the day says."""

    def __init__(self, run: "Run", day: Day, layout: Layout, changes: ChangeQueue, now: Callable[[], float]) -> None:
        self._run = run
        self._day = day
        self._changes = changes
        self._now = now
        self._draw = random.Random(day.seed ^ run.draw.getrandbits(32))
        self.polling_reason = ""
        self.unwatched_suspected = False
        self.overflowed = False

    def start(self) -> str:
        self.polling_reason = "the file system reports nothing" if self._day.event_quality == "nothing" else ""
        if not self.polling_reason:
            self._run.store.listeners.append(self)
        return self.polling_reason

    def stop(self) -> None:
        if self in self._run.store.listeners:
            self._run.store.listeners.remove(self)

    def check(self, folders: Any) -> str:
        if self._day.event_quality == "badly" and self._draw.random() < 0.002:
            self.stop()
            self.polling_reason = "the system has stopped telling of changes"
        return self.polling_reason

    def notify(self, folders: set[str], files: set[str], gone: set[str]) -> None:
        """Called by the simulated disk when something changed in these folders, with what happened to which files."""
        world, draw = self._run.world, self._draw
        for folder in sorted(folders):
            tell = partial(self._tell, folder, sorted(files), sorted(gone))
            if self._day.event_quality == "well":
                world.at(world.time, tell)
                continue
            for _ in range(draw.choice((0, 1, 1, 2))):
                world.at(world.time + draw.choice((0.0, 0.0, draw.random() * 30)), tell)
            if draw.random() < 0.05:
                world.at(world.time, lambda: self._changes.request_rescan("the queue was full"))

    def _tell(self, folder: str, files: list[str], gone: list[str]) -> None:
        if self not in self._run.store.listeners:
            return
        now = self._now()
        for path in files:
            self._changes.add_file_event(lambda debouncer, path=path: debouncer.closed(path, now))
        for path in gone:
            self._changes.add_file_event(lambda debouncer, path=path: debouncer.removed(path))
        self._changes.add_folder(folder)


class WatchIndex(SimIndex):
    """The index of a watcher: its scans take time, and the oracle learns when one begins."""

    scan_seconds = 0.0

    @contextlib.contextmanager
    def scanning(self) -> Iterator[None]:
        run: Any = current()
        run.oracle_notes.scan_epoch = run.world.epoch
        with super().scanning():
            yield
        if self.scan_seconds:
            run.wait(run.world.time + self.scan_seconds)


def watch(run: "Run", store: "Store", day: Day) -> None:
    """What ``astica-sync watch`` does, until it is stopped or killed."""
    machine = store.machine
    wake: Any = SimWake(run)
    fs = store.disk_for(run)
    number = 0

    @contextlib.contextmanager
    def opened() -> Iterator[WatchedStore]:
        nonlocal number
        number += 1
        # Another run for the journal, and a restarted one for the oracle.
        run.run_id = f"{run.name}.{number}"
        run.oracle_notes.started = run.world.time
        parts = store.session_for(run, store.faults, WatchIndex)
        parts.local.index.scan_seconds = day.scan  # type: ignore[attr-defined]
        yield WatchedStore(parts, WatchOptions(1.0, day.observe_every, PIECE))

    def listen(layout: Layout, changes: ChangeQueue, now: Callable[[], float]) -> Any:
        return SimFsEvents(run, day, layout, changes, now)

    @contextlib.contextmanager
    def lock(layout: Layout) -> Iterator[None]:
        if fs.lstat(layout.state) is None:
            raise StoreError("no state folder")
        if store.watcher not in (None, run):
            raise StoreBusy("another process watches this store")
        store.watcher = run
        run.on_end.append(lambda: _unlock(store, run))
        try:
            yield
        finally:
            _unlock(store, run)

    def notify(status: Any, text: str) -> None:
        run.world.tell(lambda: f"{run.name}: {status.state}{': ' if text else ''}{text}")

    lifecycle = WatcherLifecycle(
        store.layout,
        StoreOpener(opened, lambda: store.settings),
        wake=wake,
        notify=notify,
        system=WatchSystem(machine.ticks, machine.wall, fs, lock, listen, day.heartbeat),
    )
    run.report = lifecycle.status
    lifecycle.lock()
    run_watchers([lifecycle], wake, stopping=lambda: run.stopping)


def _unlock(store: "Store", run: "Run") -> None:
    if store.watcher is run:
        store.watcher = None


Face = tuple[int, int, int, bool, int]


def faces(store: "Store") -> dict[str, Face]:
    """What the system can see of every file and folder of the mounted store."""
    found: dict[str, Face] = {"": (store.tree.inode, store.tree.mtime, store.tree.ctime, True, 0)}

    def walk(folder: Node, prefix: str) -> None:
        for name, node in folder.entries.items():
            if not name.startswith("."):
                path = prefix + name
                found[path] = (node.inode, node.mtime, node.ctime, node.is_folder, hash(node.data))
                if node.is_folder:
                    walk(node, f"{path}/")

    walk(store.tree, "")
    return found


def notify_listeners(store: "Store", before: dict[str, Face]) -> None:
    """Notifies the listeners of what has changed since."""
    after = faces(store)
    folders: set[str] = set()
    files: set[str] = set()
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if path and (old is None or new is None or not new[3]):
            folders.add(path.rpartition("/")[0])
        if new is not None and new[3] and old is None:
            folders.add(path)
        if new is not None and not new[3]:
            files.add(path)
    gone = before.keys() - after.keys()
    if folders:
        for listener in list(store.listeners):
            listener.notify(folders, files, set(gone))
