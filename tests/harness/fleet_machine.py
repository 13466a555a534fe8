"""Machines of a fleet: each with its own name, machine id, boot, clock, home and network, in name spaces of its own.

Run as a program it is ``astica-sync`` in a tenth of the usual time: its time-outs and pauses are a tenth of what they
are, and so is the window of the limit in tests that use it.
"""

import contextlib
import importlib
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.fleet_network import FleetNetwork
from tests.harness.shell import Ran
from tests.harness.short_pauses import shorten

ROOT = Path(__file__).parents[2]
TIMES: dict[str, float] = {
    "astica_sync.remote.client:SECONDS": 4.0,
    "astica_sync.remote.http_exchange:CONNECT_SECONDS": 1.0,
    "astica_sync.remote.rate_limiter:REQUEST_TIMEOUT_SECONDS": 18.0,
    "astica_sync.remote.shared_budget.budget_server:ANSWER_SECONDS": 1.0,
    "astica_sync.remote.shared_budget.shared_rate_limiter:LONGEST_RETRY": 1.5,
}
"""Constants in seconds. Each is set before the modules that take it as a default are loaded."""
CLOCK_AHEAD = "FLEET_CLOCK_AHEAD"
VIEW_SECONDS, VIEW_IDLE_SECONDS = 60.0, 6.0


class Relay:
    """Passes the bytes of a listener on to a port of this machine; cut off, it accepts no connection and drops those
    that there are."""

    def __init__(self, port: int, listener: socket.socket) -> None:
        self._target = port
        self._open = True
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener = listener
        self.address = "{}:{}".format(*listener.getsockname()[:2])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            self._open = False
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _shut(end)

    def restore(self) -> None:
        self._open = True

    def close(self) -> None:
        self.cut()
        _shut(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                if not self._open:
                    raise OSError
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                _shut(near)
                continue
            far.settimeout(None)
            with self._lock:
                # Those that have ended would else be kept for as long as the test takes.
                self._pairs = [pair for pair in self._pairs if pair[0].fileno() >= 0]
                self._pairs.append((near, far))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    _shut(source)
    _shut(target)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@dataclass(frozen=True)
class Clock:
    """How far a machine's wall clock is ahead, and since when it is up; both in seconds."""

    ahead: float = 0.0
    up_seconds: int = 1000


class Machine:
    """One machine. ``environ`` is what its commands see of the environment besides the test's."""

    def __init__(
        self, folder: Path, name: str, environ: dict[str, str], network: FleetNetwork, clock: Clock = Clock()
    ) -> None:
        self.name = name
        self.store = folder / name
        home = folder / f"home-of-{name}"
        home.mkdir()
        (home / "machine-id").write_text(f"{sum(map(ord, name)):032x}\n")
        (home / "boot-id").write_text(f"00000000-0000-4000-8000-{sum(map(ord, name)):012x}\n")
        self._under = network.attach(name, home / "machine-id", home / "boot-id", clock.up_seconds)
        rest = {key: value for key, value in os.environ.items() if not key.startswith(("ASTICA_", "XDG_"))}
        own = {"PYTHONPATH": str(ROOT), "HOME": str(home), CLOCK_AHEAD: str(clock.ahead), **environ}
        self.environ = {**rest, **own}
        self.log = folder / f"{name}.log"
        self._watcher: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str | Path) -> list[str]:
        return [*self._under, sys.executable, "-m", "tests.harness.fleet_machine", *map(str, arguments)]

    def run(self, *arguments: str | Path) -> Ran:
        """One command to its end."""
        ran = subprocess.run(
            self.command(*arguments), env=self.environ, capture_output=True, text=True, timeout=180, check=False
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def watch(self) -> None:
        """Starts its watcher."""
        with self.log.open("ab") as log:
            command = self.command("watch", "--json", self.store)
            self._watcher = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)

    @property
    def is_watched(self) -> bool:
        return self._watcher is not None and self._watcher.poll() is None

    def kill(self) -> None:
        """Ends its watcher as a power cut of the process would."""
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait(30)
            self._watcher = None


def set_clock(ahead: float) -> None:
    """Sets this process's wall clock. Files keep the time of the system, as on a file server whose clock differs.

    ``faketime`` cannot be used for it: with version 0.9.10 every ``time.sleep`` of Python fails.
    """
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + ahead
    time.time_ns = lambda: nanoseconds() + int(ahead * 1e9)


def compress_time() -> None:
    """
    Raises:
        AttributeError: a constant has another name by now.
    """
    client: Any = importlib.import_module("astica_sync.remote.client")
    client.VIEW = client.ExchangeLimits(VIEW_SECONDS, VIEW_IDLE_SECONDS, client.VIEW.answer_bytes)
    for place, seconds in TIMES.items():
        module_name, _, name = place.partition(":")
        module = importlib.import_module(module_name)
        if not isinstance(getattr(module, name), float):
            raise AttributeError(f"{place} is not a number of seconds")
        setattr(module, name, seconds)
    shorten()


if __name__ == "__main__":
    set_clock(float(os.environ[CLOCK_AHEAD]))
    compress_time()
    from astica_sync.cli.main import main

    main()
