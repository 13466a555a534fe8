"""The unit under a real systemd in user mode: start, readiness, restart after a crash and a hang, reload and stop."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import in_sync, wait_until

MANAGER = Path("/lib/systemd/systemd")
BEGIN = 'mount -t tmpfs none /run/systemd && mkdir /run/systemd/system && exec "$@"'
QUICK = "[Service]\nRestartSec=100ms\nWatchdogSec=2s\nTimeoutAbortSec=1s\n"
"""Shorter times than those of the unit."""


class Manager:
    """A systemd in user mode that ends with the test."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASTICA_", "DBUS_"))}
        self._environ = {
            **kept,
            "HOME": str(shell.home),
            "XDG_CONFIG_HOME": shell.environ["XDG_CONFIG_HOME"],
            "XDG_RUNTIME_DIR": str(folder),
        }
        self._log = (folder / "log").open("w")
        self._process = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", BEGIN, "sh", MANAGER, "--user"],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def __call__(self, *words: str) -> str:
        """One call of systemctl; what it printed."""
        ran = subprocess.run(
            ["nsenter", "-m", "-t", str(self._process.pid), "systemctl", "--user", *words],
            env=self._environ,
            capture_output=True,
            text=True,
        )
        return (ran.stdout if ran.returncode == 0 else f"failed: {ran.stderr}").strip()

    @property
    def is_up(self) -> bool:
        if self._process.poll() is not None:
            pytest.skip("needs a system on which a systemd in user mode can be started")
        return self("show", "--property=Version").startswith("Version=")

    def close(self) -> None:
        if self._process.poll() is None:
            self("exit")
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()


@pytest.fixture
def manager(shell: Shell) -> Iterator[Manager]:
    if os.geteuid() or not MANAGER.exists() or shutil.which("nsenter") is None or not Path("/run/systemd").is_dir():
        pytest.skip("needs systemd, and root to start another one")
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Manager(shell, Path(folder))) as manager:
        wait_until(lambda: manager.is_up)
        yield manager


@pytest.mark.long
def test_the_unit_keeps_a_watcher_running(
    manager: Manager, shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    model_id = sandbox.models()[0][0]
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(sandbox.key)
    shell.environ["ASTICA_API_KEY_FILE"] = str(key)
    del shell.environ["ASTICA_API_KEY"]
    assert shell("watch", "install", "--store", store).code == 0
    [file] = (shell.home / "config" / "systemd" / "user").glob("*.service")
    file.with_suffix(".service.d").mkdir()
    (file.with_suffix(".service.d") / "quick.conf").write_text(QUICK)

    def show(name: str) -> str:
        return manager("show", "--property", name, "--value", file.name)

    manager("daemon-reload")
    assert "failed" not in manager("enable", "--now", file.name)
    assert show("ActiveState") == "active", "it has reported that it is ready"
    wait_until(lambda: in_sync(sandbox, model_id, store))
    wait_until(lambda: show("StatusText").startswith("idle"))

    os.kill(int(show("MainPID")), signal.SIGKILL)
    draw(store / "Can" / "after a crash.png", 3000)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert show("NRestarts") == "1"

    wait_until(lambda: show("StatusText").startswith("idle"))
    os.kill(int(show("MainPID")), signal.SIGSTOP)
    draw(store / "Can" / "after a hang.png", 3001)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert show("NRestarts") == "2"

    wait_until(lambda: show("StatusText").startswith("idle"))
    sandbox.clear_log()
    assert "failed" not in manager("reload", file.name)
    wait_until(lambda: bool(sandbox.requests_of("view")))

    assert "failed" not in manager("stop", file.name)
    assert (show("ActiveState"), show("Result"), show("ExecMainStatus")) == ("inactive", "success", "130")
