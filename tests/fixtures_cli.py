"""Fixtures for tests that run commands: a shell with its sandbox, and stores to use it on.

A folder whose tests need more than these overrides single fixtures in its conftest.
"""

import shutil
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill

FIXTURE = Path(__file__).parents[1] / "fixtures" / "store"


@pytest.fixture
def shell(
    sandbox: RunningSandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Runs commands against the sandbox of this test."""
    return Shell(tmp_path / "home", sandbox.url, sandbox.key, capsys, monkeypatch)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with the images of fixtures/store, not yet a store."""
    return Path(shutil.copytree(FIXTURE, tmp_path / "photos"))


@pytest.fixture
def classes() -> dict[str, int]:
    """The classes of ``store`` and the number of images in each."""
    return {"Bottle": 2, "Can": 3}


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path, classes: dict[str, int]) -> Path:
    """A store of a few images, bound to a new model, not yet pushed."""
    folder = fill(tmp_path / "store", classes)
    ran = shell("init", folder, "--model", str(sandbox.add_model("Cans")))
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def model_id(store: Path, sandbox: RunningSandbox) -> int:
    """The model of ``store``."""
    return sandbox.models()[0][0]


@pytest.fixture
def pushed(shell: Shell, store: Path, sandbox: RunningSandbox) -> Path:
    """``store`` after a push; the sandbox's log is empty."""
    return push(shell, store, sandbox)


def push(shell: Shell, store: Path, sandbox: RunningSandbox) -> Path:
    """Pushes the store, which must succeed, and empties the sandbox's log."""
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    sandbox.clear_log()
    return store
