"""A shell with its sandbox, and stores to use it on."""

import shutil
from pathlib import Path

import pytest
from shell import Shell, fill

from astica_sync.sandbox.embedded import RunningSandbox

FIXTURE = Path(__file__).parents[2] / "fixtures" / "store"


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
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store of five images in two classes, bound to a new model, nothing pushed."""
    folder = fill(tmp_path / "store", {"Bottle": 2, "Can": 3})
    ran = shell("init", folder, "--model", str(sandbox.add_model("Cans")))
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def model_id(store: Path, sandbox: RunningSandbox) -> int:
    """The model of ``store``."""
    return sandbox.models()[0][0]


@pytest.fixture
def pushed(shell: Shell, store: Path, sandbox: RunningSandbox) -> Path:
    """``store`` after a push, with the sandbox's log begun anew."""
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    sandbox.forget_log()
    return store
