"""A store whose model is on a sandbox, in a terminal that names no address."""

from pathlib import Path

import pytest

from astica_sync.config import load_settings
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.budget_servers import free_port
from tests.harness.shell import Shell, fill


def forgotten(shell: Shell, store: Path) -> Path:
    """A store on the sandbox, in a terminal in which no address is set any more."""
    fill(store, {"Can": 4, "Jar": 4})
    assert shell("init", store, "--create", "Cans", "--purpose", "test").code == 0
    return store


def test_the_detection_endpoint_is_that_of_the_sandbox(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    store = forgotten(shell, tmp_path / "photos")
    del shell.environ["ASTICA_TRAIN_URL"], shell.environ["ASTICA_DETECT_URL"]
    shown = shell("doctor", "--store", store, "--json").json["settings"]
    assert shown["detect_url"] == f"{sandbox.url} (as train_url)"


@pytest.mark.long
def test_detect_asks_the_sandbox_of_the_store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    store = forgotten(shell, tmp_path / "photos")
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    del shell.environ["ASTICA_TRAIN_URL"], shell.environ["ASTICA_DETECT_URL"]
    ran = shell("detect", next((store / "Can").iterdir()), "--store", store)
    assert ran.code == 0, ran.err


def test_only_an_address_on_this_machine_has_both_endpoints() -> None:
    here, there = {"ASTICA_TRAIN_URL": "http://localhost:8777"}, {"ASTICA_TRAIN_URL": "https://train.example.org"}
    assert load_settings(here).detect_url == "http://localhost:8777"
    assert load_settings(there).detect_url == "https://detect.astica.ai"
    given = {**here, "ASTICA_DETECT_URL": "https://detect.example.org"}
    assert load_settings(given).detect_url == "https://detect.example.org"


def test_a_sandbox_that_does_not_run_is_named_with_the_command_that_starts_it(shell: Shell) -> None:
    port = free_port()
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        shell.environ[name] = f"http://127.0.0.1:{port}"
    ran = shell("models")
    said = " ".join(ran.err.split())
    assert ran.code == 1 and f"astica-sync sandbox --port {port} --data DIR" in said
    assert "Nothing was sent." in said
