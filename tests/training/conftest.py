"""A shell with its sandbox, and stores to train on: digits, small enough to train in a moment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import Shell, fill

from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.options import Switches

NO_LIMIT = 1_000_000


@pytest.fixture
def sandbox(switches: Switches) -> Iterator[RunningSandbox]:
    """An empty sandbox that takes as many requests as come; the limit is the business of other tests."""
    with running(switches=switches, limit=NO_LIMIT) as box:
        yield box


@pytest.fixture
def shell(
    sandbox: RunningSandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Runs commands against the sandbox of this test."""
    shell = Shell(tmp_path / "home", sandbox.url, sandbox.key, capsys, monkeypatch)
    shell.environ["ASTICA_LIMIT"] = str(NO_LIMIT)
    return shell


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store of five images in two classes, pushed to a new model."""
    folder = fill(tmp_path / "store", {"Bottle": 2, "Can": 3})
    ran = shell("init", folder, "--model", str(sandbox.add_model("Cans")))
    assert ran.code == 0, ran.err
    ran = shell("push", "--store", folder)
    assert ran.code == 0, ran.err
    sandbox.forget_log()
    return folder


@pytest.fixture
def model_id(store: Path, sandbox: RunningSandbox) -> int:
    """The model of ``store``."""
    return sandbox.models()[0][0]
