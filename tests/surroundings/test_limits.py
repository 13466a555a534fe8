"""Limits of processes and threads, and no room for temporary files, with the real thing."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.mount_namespace import Ground
from tests.harness.shell import Ran, Shell, draw, fill, in_store, on_service

pytestmark = pytest.mark.long

USER = 54_323
"""An id that no other process has, since the limit counts all processes of a user. Root has none."""
AS_USER = (
    *("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--inh-caps", "-all,+dac_override"),
    *("--ambient-caps", "+dac_override", "--bounding-set", "-all,+dac_override"),
)
"""It may read the program wherever it is installed."""


@pytest.fixture
def limited(shell: Shell, sandbox: RunningSandbox) -> Iterator[Path]:
    """A store of that user with seven images, and a home, in a folder that every user may enter."""
    tools = [name for name in ("setpriv", "prlimit") if shutil.which(name) is None]
    if os.geteuid() != 0 or tools:
        pytest.skip(f"needs root, setpriv and prlimit {tools}")
    tried = [*AS_USER, sys.executable, "-c", "import astica_sync.cli.main"]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        pytest.skip("another user cannot run the program from here")
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        store = fill(folder / "store", {"Can": 5, "Bottle": 2})
        (folder / "home").mkdir()
        for place in folder.rglob("*"):
            os.chown(place, USER, USER)
        home = folder / "home"
        shell.environ |= {"HOME": str(home), "XDG_CONFIG_HOME": f"{home}/config", "XDG_STATE_HOME": f"{home}/state"}
        ran = run_limited(shell, 100, "init", store, "--model", str(sandbox.add_model("Cans")))
        assert ran.code == 0, ran.err
        yield store
    finally:
        shutil.rmtree(folder)


def run_limited(shell: Shell, processes: int, *arguments: str | Path) -> Ran:
    under = [*AS_USER, "prlimit", f"--nproc={processes}"]
    ran = shell.finish(shell.start(*arguments, under=under))
    assert "Traceback" not in ran.err and "internal error" not in ran.err, ran.err
    assert "Ctrl-C" not in ran.err, "a library interrupted the program"
    return ran


@pytest.mark.parametrize("processes", [1, 4, 12, 24])
def test_where_too_few_threads_may_be_started_the_limit_is_named_and_nothing_is_lost(
    shell: Shell, sandbox: RunningSandbox, limited: Path, processes: int
) -> None:
    for command in (["pull-status"], ["push"], ["watch", "--once"], ["backup", "verify"]):
        ran = run_limited(shell, processes, *command, *([limited] if "watch" in command else ["--store", limited]))
        assert ran.code in (0, 1), ran
        if ran.code == 1:
            assert "may start no more processes or threads" in ran.err and "ulimit -u" in ran.err, ran.err
    ran = run_limited(shell, 100, "push", "--store", limited)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, 1001) == in_store(limited)


def test_a_full_or_read_only_folder_for_temporary_files_stops_no_command(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    ground = Ground()
    folders = [tmp_path / "tmp", tmp_path / "tmp2"]
    try:
        for folder in folders:
            folder.mkdir()
            ground.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder])
            ground.run(["sh", "-c", f"! head -c 100000 /dev/zero > {folder}/full"])
        shell.environ |= {"TMPDIR": str(folders[0]), "TEMP": str(folders[1]), "TMP": str(folders[1])}
        for number, place in enumerate(("full", "read-only")):
            if place == "read-only":
                for folder in folders:
                    ground.run(["mount", "-o", "remount,ro", folder])
            draw(pushed / "Can" / f"new{number}.png", 500 + number)
            for command in (
                ["pull-status", "--store", pushed],
                ["push", "--store", pushed],
                ["watch", "--once", pushed],
                ["backup", "verify", "--store", pushed],
                ["backup", "restore", "--store", pushed, "--to", tmp_path / f"restored{number}"],
            ):
                ran = shell.finish(shell.start(*command, under=ground.under))
                assert ran.code == 0, ran.err
            assert on_service(sandbox, model_id) == in_store(pushed)
    finally:
        ground.close()
