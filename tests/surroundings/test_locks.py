"""File systems that refuse locks, of either kind, in each way: said to be that, and nothing is sent."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill
from tests.surroundings.conftest import ODD_FUSE

pytestmark = pytest.mark.long


@contextmanager
def mounted(below: Path, folder: Path, *refused: str) -> Iterator[None]:
    """``refused`` is a kind of locks and the error, as in ``flock=ENOLCK``."""
    program = subprocess.Popen(
        [sys.executable, str(ODD_FUSE), str(below), str(folder), *refused], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            if os.path.ismount(folder):
                break
            if program.poll() is not None:
                pytest.skip("the FUSE program does not start")
            time.sleep(0.05)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)
        program.wait(20)


Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    if find_spec("mfusepy") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs mfusepy and /dev/fuse")
    (tmp_path / "below").mkdir()
    (tmp_path / "mounted").mkdir()
    with ExitStack() as stack:

        def mount(*refused: str) -> Path:
            stack.close()
            stack.enter_context(mounted(tmp_path / "below", tmp_path / "mounted", *refused))
            return tmp_path / "mounted" / "store"

        yield mount


@pytest.mark.parametrize("kind", ["flock", "lock"])
@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_that_refuses_locks_is_said_to_and_nothing_is_sent(
    shell: Shell, sandbox: RunningSandbox, mount: Mount, kind: str, error: str
) -> None:
    store = fill(mount(), {"Can": 3})
    assert shell("init", store, "--model", str(sandbox.add_model())).code == 0
    sandbox.clear_log()
    mount(f"{kind}={error}")
    for command in (["push", "--store", store], ["watch", "--once", store]):
        ran = shell.finish(shell.start(*command))
        assert ran.code == 1
        assert "cannot lock files" in ran.err, ran.err
        assert "another process" not in ran.err and "Warning" not in ran.err, ran.err
    assert sandbox.requests_of("upload") == []
    mount()
    assert shell("push", "--store", store).code == 0
    assert len(sandbox.requests_of("upload")) == 3


def test_a_state_folder_that_cannot_lock_can_be_another_one(
    shell: Shell, sandbox: RunningSandbox, mount: Mount, tmp_path: Path
) -> None:
    state = mount("lock=ENOLCK").parent
    shell.environ |= {"XDG_STATE_HOME": str(state), "COLUMNS": "400"}
    ran = shell.finish(shell.start("models"))
    assert ran.code == 1 and "No locks available" in ran.err, ran.err
    assert "cannot lock files" in ran.err and "set XDG_STATE_HOME to a folder on a local disk" in ran.err
    assert "another process" not in ran.err
    shell.environ["XDG_STATE_HOME"] = str(tmp_path / "local")
    assert shell.finish(shell.start("models")).code == 0
