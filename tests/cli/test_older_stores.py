"""Stores made by earlier versions open, push and verify; ``fixtures/stores`` keeps one of each, with its sandbox."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell

STORES = Path(__file__).parents[2] / "fixtures" / "stores"
MODEL = "1001"


@pytest.fixture(params=sorted(folder.name for folder in STORES.iterdir()))
def made_by(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what that version left: the store, and the data of the sandbox that it was pushed to."""
    return Path(shutil.copytree(STORES / request.param, tmp_path / "made"))


@pytest.fixture
def sandbox(made_by: Path) -> Iterator[RunningSandbox]:
    with running(made_by / "service") as box:
        box.set_key("fixture-key")
        yield box


def take_over(shell: Shell, sandbox: RunningSandbox, made_by: Path) -> Path:
    """The store, on this machine, and with its service at the address where the sandbox is now."""
    sentinel = made_by / "store" / ".astica-sync" / "store.json"
    sentinel.write_text(json.dumps({**json.loads(sentinel.read_text()), "train_url": sandbox.url}))
    ran = shell("init", made_by / "store", "--model", MODEL, "--yes")
    assert ran.code == 0, ran.err
    return made_by / "store"


def test_a_store_of_an_earlier_version_is_in_sync_and_whole(
    shell: Shell, sandbox: RunningSandbox, made_by: Path
) -> None:
    store = take_over(shell, sandbox, made_by)
    sandbox.clear_log()

    pushed = shell("push", "--store", store, "--json")

    assert pushed.code == 0, pushed.err
    assert pushed.json["uploaded"] == pushed.json["removed"] == 0
    assert pushed.json["in_sync"]
    assert len(sandbox.requests_of("view")) == len(sandbox.log) == 1

    verified = shell("backup", "verify", "--store", store)
    assert verified.code == 0, verified.err
    assert "8 objects" in verified.out + verified.err


def test_its_history_and_versions_are_known(shell: Shell, sandbox: RunningSandbox, made_by: Path) -> None:
    store = take_over(shell, sandbox, made_by)

    log = shell("log", "--store", store).out
    assert log.count("upload") == 9
    assert "Can/001.jpg" in log
    assert "1001_20001" in shell("versions", "--store", store).out


def test_what_left_the_store_is_removed_and_comes_back_from_the_old_backup(
    shell: Shell, sandbox: RunningSandbox, made_by: Path
) -> None:
    store = take_over(shell, sandbox, made_by)
    bytes_before = (store / "Can" / "002.jpg").read_bytes()
    (store / "Can" / "002.jpg").unlink()

    removed = shell("push", "--store", store, "--json")
    assert removed.code == 0, removed.err
    assert removed.json["removed"] == 1

    restored = made_by / "restored"
    assert shell("backup", "restore", "--store", store, "--to", restored).code == 0
    assert (restored / "Can" / "002.jpg").read_bytes() == bytes_before
    assert (restored / "Can" / "001.jpg").exists()
