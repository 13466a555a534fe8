"""A second, empty store to import into, beside the fixtures for commands."""

from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell


@pytest.fixture
def empty(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store without images."""
    folder = tmp_path / "empty"
    folder.mkdir()
    ran = shell("init", folder, "--model", str(sandbox.add_model("Empty")))
    assert ran.code == 0, ran.err
    return folder
