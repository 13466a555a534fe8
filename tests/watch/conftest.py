"""A store, its sandbox, and watchers that end with the test."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounts import Ground
from shell import Shell, fill
from watch_process import Start, Watching

from astica_sync.sandbox.embedded import RunningSandbox


@pytest.fixture
def shell(
    sandbox: RunningSandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Runs commands against the sandbox of this test."""
    return Shell(tmp_path / "home", sandbox.url, sandbox.key, capsys, monkeypatch)


@pytest.fixture
def watch(shell: Shell, tmp_path: Path) -> Iterator[Start]:
    """Starts watchers, and ends them with the test."""
    with contextlib.ExitStack() as stack:

        def start(*stores: Path, flags: list[str] | None = None, prefix: list[str] | None = None) -> Watching:
            watching = Watching(shell, tmp_path, list(stores), flags or [], prefix or [])
            stack.callback(watching.close)
            return watching

        yield start


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store of five images in two classes, bound to a new model, nothing pushed; the limit is out of the way."""
    sandbox.set_limit(100_000, 60.0)
    shell.environ |= {"ASTICA_LIMIT": "100000"}
    folder = fill(tmp_path / "store", {"Bottle": 2, "Can": 3})
    assert shell("init", folder, "--model", str(sandbox.add_model("Cans"))).code == 0
    (folder / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 20\n")
    return folder


@pytest.fixture
def ground() -> Iterator[Ground]:
    """A mount name space of the test's own."""
    with contextlib.closing(Ground()) as ground:
        yield ground
