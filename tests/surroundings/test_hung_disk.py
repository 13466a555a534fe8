"""A file system whose program is stopped, as a disk that sleeps or has lost its machine: said to be that in time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, fill
from tests.surroundings.conftest import ODD_FUSE

pytestmark = pytest.mark.long


@pytest.fixture
def disk(tmp_path: Path) -> "Iterator[tuple[Path, subprocess.Popen[bytes]]]":
    """A mounted folder, and the program that answers for it."""
    if find_spec("mfusepy") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs mfusepy and /dev/fuse")
    below, folder = tmp_path / "below", tmp_path / "mounted"
    below.mkdir()
    folder.mkdir()
    program = subprocess.Popen([sys.executable, str(ODD_FUSE), str(below), str(folder)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if os.path.ismount(folder) or program.poll() is not None:
                break
            time.sleep(0.05)
        else:
            pytest.skip("the FUSE program does not start")
        yield folder, program
    finally:
        program.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)
        program.wait(20)


def test_a_push_and_a_watcher_say_that_the_disk_does_not_answer(
    shell: Shell, sandbox: RunningSandbox, disk: "tuple[Path, subprocess.Popen[bytes]]"
) -> None:
    folder, program = disk
    store = folder / "store"
    fill(store, {"Can": 2})
    assert shell("init", store, "--model", str(sandbox.add_model())).code == 0
    program.send_signal(signal.SIGSTOP)
    with shell.start("push", "--store", store) as push:
        assert push.stderr is not None
        line = push.stderr.readline()
        assert line.startswith(f"reading {store} takes long; waiting for the disk, ")
        program.send_signal(signal.SIGCONT)
        assert push.wait(60) == 0
    with Terminal(shell, "watch", "--poll", store) as terminal:
        terminal.until(lambda picture: "● idle" in picture)
        program.send_signal(signal.SIGSTOP)
        terminal.until(lambda picture: "● waiting" in picture and "waiting for the disk" in picture)
        clock = terminal.rows[0][-8:]
        terminal.until(lambda picture: picture.splitlines()[0][-8:] != clock)
        program.send_signal(signal.SIGCONT)
        terminal.until(lambda picture: "● idle" in picture)
