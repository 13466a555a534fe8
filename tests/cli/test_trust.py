"""An address that a store's own files name gets the API key only after the user has allowed it (promises 10 and 11)."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell


@pytest.fixture
def attacker() -> Iterator[RunningSandbox]:
    """Where the planted files want the key to go."""
    with running() as box:
        yield box


@pytest.fixture
def planted(shell: Shell, pushed: Path, attacker: RunningSandbox, tmp_path: Path) -> Path:
    """A pushed store as it comes out of an archive, its files naming the attacker's address; the key is set."""
    store = Path(shutil.copytree(pushed, tmp_path / "downloaded"))
    sentinel = json.loads((store / ".astica-sync" / "store.json").read_text())
    (store / ".astica-sync" / "store.json").write_text(json.dumps({**sentinel, "train_url": attacker.url}))
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        del shell.environ[name]
    shell.environ["ASTICA_API_KEY"] = attacker.key
    return store


COMMANDS = [
    ("pull-status",),
    ("push", "--dry-run"),
    ("push",),
    ("watch", "--once"),
    ("versions",),
    ("train",),
    ("adopt",),
    ("detect", "Can/001.png"),
    ("evaluate", "."),
    ("init",),
    ("backup", "prune", "--older-than", "1d", "--yes"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_sends_anything_to_an_address_that_a_planted_store_names(
    command: tuple[str, ...], shell: Shell, planted: Path, attacker: RunningSandbox
) -> None:
    ran = run_in(shell, planted, command)
    assert ran.code == 1, ran.out + ran.err
    assert attacker.url in ran.err and "astica-sync trust --store" in ran.err
    assert attacker.log == []


def run_in(shell: Shell, store: Path, command: tuple[str, ...]):
    here = os.getcwd()
    os.chdir(store)
    try:
        return shell(*command)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("name", ["train_url", "detect_url"])
@pytest.mark.parametrize("command", [("pull-status",), ("push",), ("detect", "Can/001.png")], ids=" ".join)
def test_nor_to_an_address_in_its_settings(
    command: tuple[str, ...], name: str, shell: Shell, pushed: Path, sandbox: RunningSandbox, attacker: RunningSandbox
) -> None:
    for variable in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        shell.environ.pop(variable)
    (pushed / "astica-sync.toml").write_text(f'{name} = "{attacker.url}"\n')
    ran = run_in(shell, pushed, command)
    assert ran.code == 1
    assert attacker.url in ran.err
    assert attacker.log == []


def test_the_address_given_at_init_is_allowed(shell: Shell, pushed: Path, sandbox: RunningSandbox) -> None:
    del shell.environ["ASTICA_TRAIN_URL"]
    assert shell("pull-status", "--store", pushed).code == 0
    (entry,) = json.loads(shell("trust", "--list", "--json").out)
    assert (entry["store"], entry["address"]) == (os.path.realpath(pushed), sandbox.url)


def test_a_user_allows_shows_and_revokes_an_address(shell: Shell, planted: Path, attacker: RunningSandbox) -> None:
    unanswered = shell("trust", "--store", planted)
    assert unanswered.code == 4 and "--yes" in unanswered.err
    assert shell("pull-status", "--store", planted).code == 1

    assert shell("trust", "--store", planted, "--yes").code == 0
    assert attacker.url in shell("trust", "--list").out
    shell("pull-status", "--store", planted)
    assert len(attacker.log) > 0

    attacker.clear_log()
    assert shell("trust", "--store", planted, "--revoke").code == 0
    assert shell("pull-status", "--store", planted).code == 1
    assert attacker.log == []


def test_permission_is_for_one_store(shell: Shell, planted: Path, attacker: RunningSandbox, tmp_path: Path) -> None:
    assert shell("trust", "--store", planted, "--yes").code == 0
    other = Path(shutil.copytree(planted, tmp_path / "another download"))
    assert shell("pull-status", "--store", other).code == 1
    assert attacker.log == []


def test_the_environment_needs_no_permission(shell: Shell, planted: Path, attacker: RunningSandbox) -> None:
    shell.environ["ASTICA_TRAIN_URL"] = attacker.url
    shell("pull-status", "--store", planted)
    assert len(attacker.log) > 0


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"store": 1}]', b"\xff"])
def test_a_damaged_list_allows_nothing(content: bytes, shell: Shell, planted: Path, attacker: RunningSandbox) -> None:
    assert shell("trust", "--store", planted, "--yes").code == 0
    (file,) = (shell.home / "state").rglob("trusted.json")
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(content)
    ran = shell("pull-status", "--store", planted)
    assert ran.code == 1 and "trusted.json" in ran.err
    assert attacker.log == []


def test_a_link_in_place_of_the_list_is_refused(
    shell: Shell, planted: Path, attacker: RunningSandbox, tmp_path: Path
) -> None:
    assert shell("trust", "--store", planted, "--yes").code == 0
    (file,) = (shell.home / "state").rglob("trusted.json")
    elsewhere = file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(elsewhere)
    assert shell("pull-status", "--store", planted).code == 1
    assert attacker.log == []


@pytest.mark.parametrize(
    "line",
    [
        "limit = 100000",
        "limit_window = 1",
        "quarantine = 0",
        "max_remove = 1",
        "max_remove_class = 1",
        "min_remove = 99",
    ],
)
def test_the_settings_of_a_store_do_not_loosen_a_protection(line: str, shell: Shell, pushed: Path) -> None:
    name = line.split()[0]
    for variable in ("ASTICA_LIMIT", "ASTICA_LIMIT_WINDOW", "ASTICA_QUARANTINE"):
        shell.environ.pop(variable, None)
    (pushed / "astica-sync.toml").write_text(line + "\n")
    ran = shell("push", "--store", pushed)
    assert ran.code == 1
    assert f"sets {name}" in ran.err and "config.toml" in ran.err


@pytest.mark.parametrize(
    "line",
    [
        "limit = 10",
        "limit_window = 120",
        "quarantine = 600",
        "max_remove = '5%'",
        "max_remove_class = 0",
        "min_remove = 1",
    ],
)
def test_they_may_tighten_it(line: str, shell: Shell, pushed: Path) -> None:
    (pushed / "astica-sync.toml").write_text(line + "\n")
    assert shell("pull-status", "--store", pushed).code == 0
