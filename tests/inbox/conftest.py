"""The machine of a camera, which has no key, and an inbox between it and the store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.s3_bucket import Bucket, empty_bucket, run_server, use_server
from tests.harness.shell import Shell, fill


@pytest.fixture
def camera(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Commands of a user who has no key, and a home of their own."""
    shell = Shell(tmp_path / "camera-home", "http://127.0.0.1:9", "", capsys, monkeypatch)
    for name in ("ASTICA_API_KEY", "ASTICA_TRAIN_URL", "ASTICA_DETECT_URL", "ASTICA_QUARANTINE"):
        del shell.environ[name]
    config = Path(shell.environ["XDG_CONFIG_HOME"]) / "astica-sync"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("settle = 0.1\n")
    return shell


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """The folder in which the camera puts its images: no store."""
    return fill(tmp_path / "taken", {"Can": 2, "Bottle": 2}, start=500)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store with two classes, bound to a new model, not yet pushed."""
    folder = fill(tmp_path / "store", {"Can": 1, "Bottle": 1})
    assert shell("init", folder, "--model", str(sandbox.add_model("Cans"))).code == 0
    (folder / "astica-sync.toml").write_text("settle = 0.1\n")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("obstore")
    yield from run_server()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, ``s3://photos``, and its credentials in the environment."""
    use_server(server, monkeypatch)
    return empty_bucket(server)
