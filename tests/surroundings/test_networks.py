"""No network at all: a name space whose only network interface is a loopback that is down."""

import subprocess
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Ran, Shell, draw, in_store, on_service

pytestmark = pytest.mark.long

WITHOUT = ["unshare", "--user", "--map-root-user", "--net"]
"""In front of a command: it runs without a network."""


@pytest.fixture(scope="module", autouse=True)
def _name_spaces() -> None:
    try:
        tried = subprocess.run([*WITHOUT, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if tried.returncode != 0:
        pytest.skip(f"needs a network name space of its own: {tried.stderr.strip()}")


def run_without(shell: Shell, *arguments: str | Path) -> Ran:
    ran = shell.finish(shell.start(*arguments, under=WITHOUT))
    assert "Traceback" not in ran.err and "internal error" not in ran.err, ran.err
    return ran


REMEDY = "Nothing was sent. Check the network and the address (settings train_url and detect_url)."


@pytest.mark.parametrize("command", ["push", "pull-status", "watch", "train"])
def test_without_a_network_one_sentence_names_it_and_nothing_is_lost(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, command: str
) -> None:
    draw(pushed / "Can" / "new.png", 50)
    (pushed / "Bottle" / "000.png").unlink()
    ran = run_without(shell, command, *(["--once"] if command == "watch" else ["--store"]), pushed)
    assert ran.code == 1
    host = sandbox.url.removeprefix("http://").rstrip("/")
    [sentence, remedy] = [line.strip() for line in ran.err.splitlines()]
    assert sentence.startswith(f"astica-sync: {host} cannot be reached: ") and "Network is unreachable" in sentence
    assert remedy == REMEDY
    offline = run_without(shell, "pull-status", "--offline", "--store", pushed)
    assert offline.code == 0, offline.err
    assert sandbox.log == []
    ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)
    assert len(sandbox.requests_of("upload")) == 1


@pytest.mark.parametrize("command", ["models", "init"])
def test_without_a_network_an_address_by_name_is_named(shell: Shell, photos: Path, command: str) -> None:
    shell.environ |= {"ASTICA_TRAIN_URL": "https://service.invalid/", "ASTICA_DETECT_URL": "https://service.invalid/"}
    ran = run_without(shell, command, *([photos, "--model", "1", "--yes"] if command == "init" else []))
    assert ran.code == 1
    [sentence, remedy] = [line.strip() for line in ran.err.splitlines()]
    assert sentence.startswith("astica-sync: service.invalid cannot be reached: ") and remedy == REMEDY
    assert not (photos / ".astica-sync" / "store.json").exists()
