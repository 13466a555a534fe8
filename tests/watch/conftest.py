"""A store to watch, and watchers that end with the test."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.mount_namespace import Ground
from tests.harness.shell import Shell
from tests.harness.watch_process import Start, WatchProcess


@pytest.fixture
def watch(shell: Shell, tmp_path: Path) -> Iterator[Start]:
    """Starts watchers, and ends them with the test."""
    with contextlib.ExitStack() as stack:

        def start(*stores: Path, flags: list[str] | None = None, prefix: list[str] | None = None) -> WatchProcess:
            watching = WatchProcess(shell, tmp_path, list(stores), flags or [], prefix or [])
            stack.callback(watching.close)
            return watching

        yield start


@pytest.fixture
def store(shell: Shell, store: Path, sandbox: RunningSandbox) -> Path:
    """The shared store with a short quiet period and without a request limit."""
    sandbox.set_limit(100_000, 60.0)
    shell.environ |= {"ASTICA_LIMIT": "100000"}
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 20\n")
    return store


@pytest.fixture
def ground() -> Iterator[Ground]:
    """A mount namespace for this test alone."""
    with contextlib.closing(Ground()) as ground:
        yield ground
