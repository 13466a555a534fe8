"""A root like that of a container: read-only, without machine id, without an entry for the user, with its volumes.

The program runs in mount and process name spaces of its own, below an overlay of this system's root.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Ran, Shell, draw, fill, in_store, on_service
from tests.surroundings.conftest import run

pytestmark = pytest.mark.long

CODE = Path(__file__).parents[2]
"""The checkout with its virtual environment, which may be in a folder that each container has for itself."""
START = """
set -e
mount -t tmpfs tmpfs {new}/tmp
mount -t tmpfs tmpfs {new}/run
mkdir -p {new}{volume} {new}{code}
mount --rbind {volume} {new}{volume}
mount --rbind {code} {new}{code}
: > {new}/etc/passwd
echo "passwd: files" > {new}/etc/nsswitch.conf
rm -f {new}/etc/machine-id {new}/var/lib/dbus/machine-id
mount -o remount,ro,bind {new}
exec unshare --pid --fork --mount-proc={new}/proc chroot {new} env -i "$@"
"""


class Container:
    """Runs commands in a new container each time; ``volume`` is what all of them see."""

    def __init__(self, root: Path, volume: Path, shell: Shell) -> None:
        self._root = root
        self.volume = volume
        self._environ = {name: value for name, value in shell.environ.items() if name.startswith("ASTICA_")}
        self.environ: dict[str, str] = {"HOME": "/", "XDG_STATE_HOME": str(volume / "state")}

    def __call__(self, *arguments: str | Path) -> Ran:
        new, layers = self._root / "new", self._root / "layers"
        shutil.rmtree(layers, ignore_errors=True)
        for folder in (new, layers / "upper", layers / "work"):
            folder.mkdir(parents=True, exist_ok=True)
        begin = (
            f"mount -t tmpfs tmpfs {layers} && mkdir {layers}/upper {layers}/work && mount -t overlay -o lowerdir=/,"
        )
        begin += f"upperdir={layers}/upper,workdir={layers}/work overlay {new} && mount --rbind /dev {new}/dev"
        start = START.format(new=new, volume=self.volume, code=CODE)
        environ = {**self._environ, **self.environ, "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [*(f"{name}={value}" for name, value in environ.items()), sys.executable, "-m", "astica_sync"]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", f"{begin}\n{start}", "sh", *command, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if "mount:" in done.stderr or "unshare:" in done.stderr or "chroot:" in done.stderr:
            pytest.skip(f"no container can be made here: {done.stderr[-300:]}")
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def container(shell: Shell) -> Iterator[Container]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    # Outside of /tmp, which each container has for itself.
    root = Path("/var/tmp") / f"astica-container-{os.getpid()}"
    (root / "volume").mkdir(parents=True)
    try:
        yield Container(root, root / "volume", shell)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_each_new_container_with_the_same_volume_goes_on(container: Container, sandbox: RunningSandbox) -> None:
    store = fill(container.volume / "photos", {"Bottle": 2, "Can": 3})
    model_id = sandbox.add_model()
    ran = container("init", store, "--model", str(model_id))
    assert ran.code == 0, ran.err
    for number in range(3):
        draw(store / "Can" / f"new{number}.png", 50 + number)
        ran = container("push", "--store", store)
        assert ran.code == 0, ran.err
        assert on_service(sandbox, model_id) == in_store(store)
    assert len(in_store(store)) == 8
    ran = container("backup", "restore", "--store", store, "--to", container.volume / "restored")
    assert ran.code == 0, ran.err
    (store / "Can" / "000.png").unlink()
    ran = container("push", "--store", store)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)


def test_without_a_state_folder_that_stays_it_asks_and_says_which_variable(
    container: Container, sandbox: RunningSandbox
) -> None:
    store = fill(container.volume / "photos", {"Can": 3})
    model_id = sandbox.add_model()
    container.environ["XDG_STATE_HOME"] = "/tmp/state"
    assert container("init", store, "--model", str(model_id)).code == 0
    asked = container("push", "--store", store)
    assert asked.code == 1
    assert "in another container" in asked.err and "set XDG_STATE_HOME" in asked.err
    assert on_service(sandbox, model_id) == {}


def test_a_read_only_home_is_named(container: Container, sandbox: RunningSandbox) -> None:
    store = fill(container.volume / "photos", {"Can": 1})
    del container.environ["XDG_STATE_HOME"]
    sandbox.clear_log()
    refused = container("init", store, "--model", "1")
    assert refused.code == 1
    assert "/.local/state/astica-sync (by HOME)" in refused.err and "XDG_STATE_HOME" in refused.err
    assert sandbox.log == []


def test_no_home_at_all_is_named(container: Container, sandbox: RunningSandbox) -> None:
    store = fill(container.volume / "photos", {"Can": 1})
    container.environ.clear()
    refused = container("init", store, "--model", "1")
    assert refused.code == 1
    assert "HOME is not set, and user id 0 has no entry in /etc/passwd" in refused.err


def test_a_read_only_store_shows_a_status_and_says_why_it_cannot_be_pushed(
    container: Container, sandbox: RunningSandbox
) -> None:
    store = fill(container.volume / "photos", {"Can": 3})
    assert container("init", store, "--model", str(sandbox.add_model())).code == 0
    assert container("push", "--store", store).code == 0
    draw(store / "Can" / "new.png", 50)
    sandbox.clear_log()
    run("mount", "--bind", store, store)
    run("mount", "-o", "remount,ro,bind", store)
    try:
        status = container("pull-status", "--store", store)
        pushed = container("push", "--store", store)
    finally:
        subprocess.run(["umount", str(store)], check=True)
    assert status.code == 0, status.err
    assert pushed.code == 1
    assert "read-only" in pushed.err.lower(), pushed.err
    assert sandbox.requests_of("upload") == []
