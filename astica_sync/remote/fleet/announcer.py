"""A process writes what it does to its budget server, so that other machines see it.

A thread of its own does this, every few seconds, on a connection of its own: no request waits for it, and where the
server is away, nothing is written. A process that sends no request writes nothing and opens no connection.
"""

import contextlib
import functools
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from astica_sync.core.fleet.announcement import Announcement, LimitSetting, ProcessTask
from astica_sync.remote.fleet.fleet_board import FleetBoard, claims_on, store_text_of, text_of
from astica_sync.remote.fleet.store_announcement import StoreAnnouncement
from astica_sync.system.optional_packages import version_of

ACTIVE_SECONDS = 10.0
"""Between two records of a process that sends requests, and ``IDLE_SECONDS`` of one that sends none."""
IDLE_SECONDS = 30.0
LAST_RECORD_SECONDS = 0.3
"""How long the end of a process waits for its last record to be written."""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What of an announcement does not change; ``place`` is the whole path of the store, of which only a hash leaves
    this machine. ``store`` is what is announced of the store itself, None where the process has none."""

    machine: str
    task: ProcessTask
    setting: LimitSetting
    place: str = ""
    store: StoreAnnouncement | None = None


@functools.cache
def _version() -> str:
    # Looked up in the thread of the announcements.
    return version_of("astica-sync") or ""


class Announcer:
    """For any number of threads.

    Args:
        open_board: opens the board; called in the thread, before each record.
        name: of the budget.
        ticks: the time in seconds.
    """

    def __init__(
        self, open_board: Callable[[], FleetBoard], name: str, facts: ProcessFacts, ticks: Callable[[], float]
    ) -> None:
        self._open_board = open_board
        self._name = name
        self._facts = facts
        self._ticks = ticks
        self._who = os.urandom(12).hex()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._started = ticks()
        self._waits_until = float("-inf")
        self._sent: deque[tuple[int, int]] = deque()
        """For each second of the last window in which requests were sent, their number."""
        self._failed = False

    def request_sent(self) -> None:
        """A request was sent."""
        now = self._ticks()
        with self._lock:
            self._waits_until = float("-inf")
            count = self._sent.pop()[1] if self._sent and self._sent[-1][0] == int(now) else 0
            self._sent.append((int(now), count + 1))
            self._forget(now)
        self._start()

    def waits(self, seconds: float) -> None:
        """The process waits for the budget or the service."""
        with self._lock:
            self._waits_until = self._ticks() + seconds
        self._start()

    def close(self) -> None:
        """Writes that the process has ended, unless the server did not take what was written before."""
        self._ending.set()
        if self._thread is not None and self._thread.is_alive() and not self._failed:
            self._thread.join(LAST_RECORD_SECONDS)

    def announcement(self, *, ended: bool = False) -> Announcement:
        """What the process would write now."""
        now = self._ticks()
        with self._lock:
            self._forget(now)
            sent = sum(count for _, count in self._sent)
            waits = 0.0 if ended else max(0.0, self._waits_until - now)
        facts = self._facts
        return Announcement(
            facts.machine,
            os.getpid(),
            _version(),
            facts.task,
            now - self._started,
            0.0,
            sent,
            waits,
            facts.setting,
            ended,
        )

    def write(self, *, ended: bool = False) -> None:
        """Writes it. A last record takes the place of that of an earlier process which did the same, so that a job
        which runs each minute is one of those last seen."""
        with contextlib.closing(self._open_board()) as board:
            self._write_store(board)
            text = text_of(self.announcement(ended=ended))
            if ended:
                board.write(self._name, self._work(), text, gone=self._who)
            else:
                board.write(self._name, self._who, text)

    def _write_store(self, board: FleetBoard) -> None:
        store = self._facts.store
        if store is None:
            return
        if not store.follows_earlier:
            store.take_over(claims_on(board.read(self._name)))
        board.write(self._name, store.name, store_text_of(store.claim()))

    def _work(self) -> str:
        facts = self._facts
        what = "\0".join([self._name, facts.machine, facts.place, facts.task.doing])
        return hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0][0] < now - self._facts.setting.window:
            self._sent.popleft()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._ending.is_set():
                return
            self._thread = threading.Thread(target=self._run, name="announcements", daemon=True)
            # Where this user may start no more threads, nothing is written.
            with contextlib.suppress(RuntimeError):
                self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._failed = not self._try()
            with self._lock:
                last = self._sent[-1][0] if self._sent else float("-inf")
            active = last >= self._ticks() - ACTIVE_SECONDS
            self._ending.wait(ACTIVE_SECONDS if active and not self._failed else IDLE_SECONDS)
        if not self._failed:
            self._try(ended=True)

    def _try(self, *, ended: bool = False) -> bool:
        try:
            self.write(ended=ended)
        except Exception:  # noqa: BLE001 - whatever it is, no request depends on it
            return False
        return True
