"""A watcher in a process of its own, and its events."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, in_store, on_service

ROOT = Path(__file__).parents[2]
Start = Callable[..., "WatchProcess"]


def wait_until(true: Callable[[], Any], seconds: float = 40, every: float = 0.05) -> None:
    """Polls a condition that another process makes true."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, "timed out"
        time.sleep(every)


def in_sync(sandbox: RunningSandbox, model_id: int, store: Path) -> bool:
    """Whether the service holds what the folder holds, byte for byte."""
    try:
        return on_service(sandbox, model_id) == in_store(store)
    except FileNotFoundError:
        # A file was deleted while it was read.
        return False


class WatchProcess:
    """A running watcher. Its events are read from a file, so that no full pipe blocks it."""

    def __init__(self, shell: Shell, folder: Path, stores: list[Path], flags: list[str], prefix: list[str]) -> None:
        self.out = folder / f"watch-{time.monotonic_ns()}.jsonl"
        self.err = self.out.with_suffix(".err")
        with self.out.open("w") as out, self.err.open("w") as err:
            environ = {name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")}
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", shell.program, "watch", "--json", *flags, *map(str, stores)],
                # A process in another mount namespace begins in its root folder.
                env={**environ, "PYTHONPATH": str(ROOT), **shell.environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self.out.read_text().split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def reported(self, name: str, text: str = "") -> bool:
        return any(event["event"] == name and text in event["text"] for event in self.events)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
