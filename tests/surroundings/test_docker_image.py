"""The image of the ``Dockerfile``, built and run where an engine for containers answers.

The container runs as ``compose.yaml`` does: as a user without an entry, with a read-only root and the key in a file.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync import __version__
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import draw, fill, in_store, on_service

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
BASE = re.findall(r"^FROM (\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)[-1]
USER = os.getuid() or 12345


def docker(*arguments: str | Path, seconds: float = 120) -> "subprocess.CompletedProcess[str]":
    command = ["docker", *map(str, arguments)]
    # Only BuildKit knows RUN --mount.
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The name of the built image; skips where no engine answers, or there is no network to build it with."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    answer = docker("info")
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines() or ["no reason given"]
        pytest.skip(f"no engine answers to docker info: {lines[-1]}")
    pulled = docker("pull", "--quiet", BASE, seconds=600)
    if pulled.returncode != 0 and docker("image", "inspect", BASE).returncode != 0:
        pytest.skip(f"{BASE} cannot be downloaded: {pulled.stderr.strip()}")
    name = f"astica-sync-test-{os.getpid()}"
    built = docker("build", "--tag", name, ROOT, seconds=1800)
    assert built.returncode == 0, built.stdout + built.stderr
    yield name
    docker("image", "rm", "--force", name)


def run_image(image: str, *arguments: str | Path, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    as_composed = ("--rm", "--read-only", "--tmpfs", "/tmp", "--user", f"{USER}:{USER}")
    return docker("run", *as_composed, *options, image, *arguments, seconds=300)


def test_the_program_is_the_one_of_this_checkout(image: str) -> None:
    ran = run_image(image, "--version")
    assert (ran.returncode, ran.stdout) == (0, f"astica-sync, version {__version__}\n"), ran.stderr


def test_the_demo_runs_without_a_network(image: str) -> None:
    ran = run_image(image, "demo", options=("--network", "none"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "This is the end of the demo." in ran.stdout


def test_the_manual_page_and_the_completions_are_in_it(image: str) -> None:
    ran = docker("run", "--rm", "--entrypoint", "ls", image, "/usr/local/share/man/man1")
    assert "astica-sync.1" in ran.stdout, ran.stderr
    ran = docker("run", "--rm", "--entrypoint", "ls", image, "/usr/local/share/bash-completion/completions")
    assert "astica-sync" in ran.stdout, ran.stderr


def test_each_new_container_goes_on_with_the_same_volumes(image: str, sandbox: RunningSandbox, tmp_path: Path) -> None:
    store, state, key = fill(tmp_path / "photos", {"Bottle": 2, "Can": 3}), tmp_path / "state", tmp_path / "key"
    state.mkdir()
    key.write_text(sandbox.key)
    key.chmod(0o600)
    for path in (store, *store.rglob("*"), state, key):
        os.chown(path, USER, USER)
    options = ("--network", "host", "--volume", f"{store}:/photos", "--volume", f"{state}:/state")
    options += ("--volume", f"{key}:/run/secrets/astica_api_key:ro")
    options += ("--env", f"ASTICA_TRAIN_URL={sandbox.url}", "--env", f"ASTICA_DETECT_URL={sandbox.url}")
    model_id = sandbox.add_model()
    ran = run_image(image, "init", "--model", str(model_id), options=options)
    assert ran.returncode == 0, ran.stderr
    for number in range(2):
        draw(store / "Can" / f"new{number}.png", 50 + number)
        ran = run_image(image, "push", options=options)
        assert ran.returncode == 0, ran.stderr
        assert on_service(sandbox, model_id) == in_store(store)
    assert re.search(r"in sync", run_image(image, "pull-status", options=options).stdout)
