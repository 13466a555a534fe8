"""Redis and PostgreSQL for tests: processes on free ports, with their files in temporary folders."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PASSWORD = "hidden/word:1"
QUOTED_PASSWORD = "hidden%2Fword%3A1"
UNPRIVILEGED = "daemon"
POSTGRES_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class BudgetServerProcess:
    """A running server; ``address`` is what a user would set, with the password in it."""

    command: list[str]
    port: int
    address: str
    ready: list[str]
    """A command that succeeds once the server answers."""
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if subprocess.run(self.ready, capture_output=True, check=False).returncode == 0:
                return
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {' '.join(self.command)}"
            time.sleep(0.02)
        raise AssertionError(f"does not answer: {' '.join(self.command)}")

    def stop(self, kind: int = signal.SIGINT) -> None:
        """SIGINT is a fast shutdown for both; SIGKILL a crash."""
        if self.process.poll() is None:
            self.resume()
            self.process.send_signal(kind)
            self.process.wait(30)

    def pause(self) -> None:
        """It accepts connections, since the system does, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, kind: int) -> None:
        """Sends a signal to the server and to the processes that it has started for its connections."""
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                if self.process.pid in (int(status.parent.name), parent):
                    os.kill(int(status.parent.name), kind)


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[BudgetServerProcess]:
    """A Redis server that keeps nothing on disk and asks for ``PASSWORD``."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server: apt-get install redis-server")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        server = BudgetServerProcess(
            [*command, "--requirepass", PASSWORD, *options],
            port,
            f"redis://:{QUOTED_PASSWORD}@127.0.0.1:{port}/0",
            ["redis-cli", "-p", str(port), "ping"],
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def postgres_server(*options: str) -> Iterator[BudgetServerProcess]:
    """A PostgreSQL server with a user called budget. It refuses to run as root, so it runs as another user."""
    if not POSTGRES_PROGRAMS:
        pytest.skip("there is no PostgreSQL: apt-get install postgresql")
    programs = POSTGRES_PROGRAMS[-1]
    as_another = (
        ["setpriv", "--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups"] if os.geteuid() == 0 else []
    )
    if as_another and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv")
    folder = Path(tempfile.mkdtemp(prefix="budget-postgres-"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if as_another:
            shutil.chown(folder, UNPRIVILEGED)
            shutil.chown(secret, UNPRIVILEGED)
        data = folder / "data"
        made = [*as_another, str(programs / "initdb"), "-D", str(data), "-U", "budget", "--no-sync", "-E", "UTF8"]
        subprocess.run(
            [*made, "--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        port = free_port()
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        command = [*as_another, str(programs / "postgres"), "-D", str(data)]
        command += [word for one in [*settings, *options] for word in ("-c", one)]
        server = BudgetServerProcess(
            command,
            port,
            f"postgresql://budget:{QUOTED_PASSWORD}@127.0.0.1:{port}/postgres",
            [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)],
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
