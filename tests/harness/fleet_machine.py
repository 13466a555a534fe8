"""Machines of a fleet: each with its own name, machine id, home and connections, in name spaces of its own.

Run as a program it is ``astica-sync`` with short pauses, for a service that answers at once: a budget server that has
lost its records rests for a few seconds.
"""

import contextlib
import importlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.shell import Ran
from tests.harness.short_pauses import shorten

ROOT = Path(__file__).parents[2]
UNDER_WAY_SECONDS = 5.0
BEGIN = """
[ ! -e /etc/machine-id ] || mount --bind "$1" /etc/machine-id
hostname "$0"
shift
exec "$@"
"""


class Relay:
    """Passes bytes on to a port of this machine; cut off, it accepts no connection and drops those that there are."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = True
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
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


class Machine:
    """One machine. ``environ`` is what its commands see of the environment besides the test's."""

    def __init__(self, folder: Path, name: str, environ: dict[str, str]) -> None:
        self.name = name
        self.store = folder / name
        home = folder / f"home-of-{name}"
        home.mkdir()
        self._id = home / "machine-id"
        self._id.write_text(f"{sum(map(ord, name)):032x}\n")
        rest = {key: value for key, value in os.environ.items() if not key.startswith(("ASTICA_", "XDG_"))}
        self.environ = {**rest, "PYTHONPATH": str(ROOT), "HOME": str(home), **environ}
        self._log = (folder / f"{name}.log").open("ab")
        self._watcher: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str | Path) -> list[str]:
        begin = ["unshare", "-Urm", "--uts", "sh", "-ec", BEGIN, self.name, str(self._id)]
        return [*begin, sys.executable, "-m", "tests.harness.fleet_machine", *map(str, arguments)]

    def run(self, *arguments: str | Path) -> Ran:
        """One command to its end."""
        ran = subprocess.run(
            self.command(*arguments), env=self.environ, capture_output=True, text=True, timeout=180, check=False
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def watch(self) -> None:
        """Starts its watcher."""
        self._watcher = subprocess.Popen(
            self.command("watch", "--json", self.store), env=self.environ, stdout=self._log, stderr=self._log
        )

    def kill(self) -> None:
        """Ends its watcher as a power cut of the process would."""
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait(30)
            self._watcher = None

    def close(self) -> None:
        self.kill()
        self._log.close()


@contextlib.contextmanager
def machines(folder: Path, names: dict[str, dict[str, str]]) -> Iterator[list[Machine]]:
    """Machines with these names and environments, where this user may make name spaces."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    probe = subprocess.run(["unshare", "-Urm", "--uts", "hostname", "a-name"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("needs name spaces of its own")
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(contextlib.closing(Machine(folder, name, environ))) for name, environ in names.items()
        ]


if __name__ == "__main__":
    from astica_sync.cli.main import main

    shorten()
    limiter = importlib.import_module("astica_sync.remote.shared_budget.shared_rate_limiter")
    assert isinstance(limiter.UNDER_WAY_SECONDS, float)
    limiter.UNDER_WAY_SECONDS = UNDER_WAY_SECONDS
    main()
