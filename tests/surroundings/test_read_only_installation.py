"""Every command works where the installation can only be read: no bytecode, no file beside the program's own."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import astica_sync
from astica_sync.cli.main import COMMANDS
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.mount_namespace import Ground
from tests.harness.shell import Ran, Shell, draw, fill, in_store, on_service

pytestmark = pytest.mark.long

RUNS_ON = {"page": r"http://\S+", "sandbox": r"http://\S+", "watch": r"in sync|watching"}
"""The commands that run until they are stopped, and what each says once it runs."""


class Installation:
    """A copy of the program that cannot be written, nor what it imports; each command is a process of its own."""

    def __init__(self, ground: Ground, site: Path, shell: Shell) -> None:
        self._under = ground.under
        self.site = site
        self._home = shell.home
        rest = {name: value for name, value in os.environ.items() if not name.startswith(("ASTICA_", "PYTHON"))}
        libraries = [path for path in sys.path if path and not Path(path, "astica_sync").is_dir()]
        self._environ = {**rest, **shell.environ, "PYTHONPATH": os.pathsep.join([str(site), *libraries])}
        self.ran: set[str] = set()

    def _command(self, *arguments: str | Path) -> list[str]:
        self.ran.add(str(arguments[0]))
        return [*self._under, sys.executable, "-P", "-m", "astica_sync", *map(str, arguments)]

    def __call__(self, *arguments: str | Path, code: int = 0) -> Ran:
        done = subprocess.run(
            self._command(*arguments),
            env=self._environ,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return Ran(done.returncode, done.stdout, done.stderr)

    def until_it_runs(self, *arguments: str | Path) -> str:
        """Starts a command, and stops it as soon as it says that it runs; returns what it said."""
        with subprocess.Popen(
            self._command(*arguments),
            env=self._environ,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if re.search(RUNS_ON[str(arguments[0])], line):
                    process.send_signal(signal.SIGTERM)
                    said += process.stdout.read()
                    break
        assert process.returncode in (0, 130, 143), said
        return said


@pytest.fixture
def installation(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Installation]:
    package = Path(astica_sync.__file__).parent
    site = tmp_path / "site"
    shutil.copytree(package, site / "astica_sync", ignore=shutil.ignore_patterns("__pycache__"))
    ground = Ground()
    try:
        for folder in (site, Path(sys.prefix)):
            ground.run(["mount", "--bind", folder, folder])
            ground.run(["mount", "-o", "remount,ro,bind", folder])
            ground.run(["sh", "-c", '! touch "$1/astica_sync" 2>/dev/null', "sh", folder])
        yield Installation(ground, site, shell)
    finally:
        ground.close()


def test_every_command_works(installation: Installation, sandbox: RunningSandbox, tmp_path: Path) -> None:
    run = installation
    photos = fill(tmp_path / "photos", {"Bottle": 6, "Can": 6})
    at = ("--store", photos)
    model_id = sandbox.add_model()
    run("init", photos, "--model", str(model_id))
    run("trust", *at)
    run("push", *at)
    assert on_service(sandbox, model_id) == in_store(photos)
    run("pull-status", *at)
    run("log", *at)
    run("prepare", next(photos.glob("*/*.png")))
    run("models")
    run("completion", "bash")
    run("split", "--share", "0.3", "--to", tmp_path / "held-out", "--yes", *at)
    run("push", *at, "--yes")
    run("train", *at)
    run("versions", *at)
    run("snapshot", "list", *at)
    run("detect", next(photos.rglob("*.png")), *at)
    run("evaluate", tmp_path / "held-out", *at)
    run("inspect", photos)
    run("export", tmp_path / "exported", "--format", "csv", *at)
    draw(tmp_path / "more" / "Can" / "new.png", 90)
    run("import", tmp_path / "more", *at)
    run("push", *at)
    run("backup", "verify", *at)
    run("backup", "restore", *at, "--to", tmp_path / "restored")
    assert on_service(sandbox, model_id) == in_store(photos)
    run("doctor", *at)
    assert "no budget server is set" in " ".join(run("fleet", code=1).err.split())
    run("demo")
    image = draw(tmp_path / "other.png", 91).read_bytes()
    unmanaged = [sandbox.add_sample(model_id, title, image) for title in ("Can", "Odd")]
    run("adopt", *at, "--yes")
    run("remove-sample", str(unmanaged[0]), *at, "--yes", "--lose-unmanaged", "1")
    odd = next(number for number, title in sandbox.classes(model_id) if title == "Odd")
    run("remove-class", str(odd), *at, "--yes", "--lose-unmanaged", "1")
    assert on_service(sandbox, model_id) == in_store(photos)
    for command in (("watch", photos), ("page", "--no-open", *at), ("sandbox", "--port", "0")):
        run.until_it_runs(*command)
    assert [path for path in run.site.rglob("*") if path.name == "__pycache__"] == []
    assert set(COMMANDS) - run.ran == set()
