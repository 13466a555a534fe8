"""Name spaces of a test's own, in which it may mount, unmount, fill and lower what it likes, without being root."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


class Ground:
    """A mount name space that ends with the test. ``under`` in front of a command runs it there."""

    def __init__(self) -> None:
        begin = ["unshare", "-Urm", "sh", "-c", "echo ready && exec cat"]
        try:
            self._process = subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except FileNotFoundError:
            pytest.skip("needs unshare")
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.close()
            pytest.skip("needs a user name space of its own")

    @property
    def under(self) -> list[str]:
        return ["nsenter", "--preserve-credentials", "-U", "-m", "-t", str(self._process.pid)]

    def seen(self, path: Path) -> Path:
        """The same path as it is there, for this process."""
        return Path(f"/proc/{self._process.pid}/root{path}")

    def run(self, command: Sequence[str | Path]) -> None:
        """Runs a command there; it must succeed."""
        ran = subprocess.run([*self.under, *map(str, command)], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()
