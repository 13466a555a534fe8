"""Notices that the disk of a folder does not answer, from a thread of its own: the one that works is stuck in a system
call then, and can report nothing."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from astica_sync.cli.render.live.database_locks import DatabaseLocks
from astica_sync.cli.render.text import countdown

PROBE_EVERY = 0.5
SLOW_AFTER = 1.0
"""A disk that has not answered for so many seconds is slow."""
LINE_EVERY = 5.0
"""Between two lines about it, where nothing is drawn; the pauses of a watcher grow."""


class DiskProbe:
    """Asks the file system of a folder again and again; no cache of the system answers that."""

    def __init__(
        self,
        folder: Path,
        *,
        ask: Callable[[str], object] = os.statvfs,
        ticks: Callable[[], float] = time.monotonic,
        locks: DatabaseLocks | None = None,
    ) -> None:
        """``locks``: looks at the databases of the store in the same thread, and says which one is locked."""
        self._locks = locks
        self._folder = _absolute(folder)
        self._ask = ask
        self._ticks = ticks
        self._asked_at: float | None = None

    def ask(self) -> None:
        """Asks once, for as long as the disk takes. An error is an answer."""
        self._asked_at = self._ticks()
        with contextlib.suppress(OSError, ValueError):
            self._ask(self._folder)
        self._asked_at = None

    def seconds(self) -> float:
        """How long the disk has not answered; 0 where that is not long."""
        asked_at = self._asked_at
        seconds = 0.0 if asked_at is None else self._ticks() - asked_at
        return seconds if seconds >= SLOW_AFTER else 0.0

    def text(self) -> str:
        """That the disk does not answer, or a database is locked, and for how long; "" where neither is."""
        seconds = self.seconds()
        if seconds:
            return f"reading {self._folder} takes long; waiting for the disk, {countdown(seconds)}"
        return "" if self._locks is None else self._locks.text()

    def start(self, ended: threading.Event) -> None:
        """Asks in a thread until ``ended`` is set."""
        _start(lambda: self._run(ended))

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(PROBE_EVERY):
            self.ask()
            if self._locks is not None:
                self._locks.look()


class SlowDiskLines:
    """Says of each of several disks that it does not answer, less often the longer that lasts."""

    def __init__(self, probes: Mapping[str, DiskProbe], say: Callable[[str, str, float], None]) -> None:
        """``say`` gets the name of the disk, the text and the seconds."""
        self._probes = probes
        self._say = say
        self._said: dict[str, float] = {}

    def start(self, ended: threading.Event) -> None:
        """Says so from a thread until ``ended`` is set."""
        _start(lambda: self._run(ended))

    def tick(self) -> None:
        """Says what is due."""
        for name, probe in self._probes.items():
            seconds = probe.seconds()
            said = self._said.get(name)
            if not seconds:
                self._said.pop(name, None)
            elif said is None or seconds >= max(2 * said, said + LINE_EVERY):
                self._said[name] = seconds
                self._say(name, probe.text(), seconds)

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(PROBE_EVERY / 2):
            self.tick()


def _start(run: Callable[[], None]) -> None:
    # Where no thread can be started, the command says so once it needs one.
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=run, daemon=True).start()


def _absolute(folder: Path) -> str:
    """The whole path, without a look at the disk."""
    try:
        return os.path.abspath(folder)  # noqa: PTH100 - resolves no link
    except OSError:
        # The current folder was deleted.
        return os.fspath(folder)
