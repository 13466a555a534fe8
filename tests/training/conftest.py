"""A pushed store to train on, and a sandbox without a request limit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.switches import Switches
from tests.fixtures_cli import push
from tests.harness.shell import Shell
from tests.harness.trained_store import NO_LIMIT


@pytest.fixture
def sandbox(switches: Switches) -> Iterator[RunningSandbox]:
    """An empty sandbox without a request limit."""
    with running(switches=switches, limit=NO_LIMIT) as box:
        yield box


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """The shared shell, without a request limit."""
    shell.environ["ASTICA_LIMIT"] = str(NO_LIMIT)
    return shell


@pytest.fixture
def store(shell: Shell, store: Path, sandbox: RunningSandbox) -> Path:
    """The shared store, pushed."""
    return push(shell, store, sandbox)
