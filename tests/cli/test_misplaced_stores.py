"""Stores and addresses that stand where trusted ones are expected: in a class folder, in a trusted folder, spelled
nearly the same."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell, draw, in_store, on_service

pytestmark = pytest.mark.long


@pytest.fixture
def attacker() -> Iterator[RunningSandbox]:
    with running() as box:
        yield box


def without_addresses(shell: Shell) -> None:
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        del shell.environ[name]


def name_address(store: Path, address: str) -> None:
    file = store / ".astica-sync" / "store.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "train_url": address}))


@pytest.mark.parametrize("command", [("push",), ("status",), ("detect", "000.png"), ("init",), ("watch", "--once")])
def test_a_store_planted_in_a_class_folder_gets_no_key(
    shell: Shell,
    sandbox: RunningSandbox,
    pushed: Path,
    attacker: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    before = on_service(sandbox, 1001)
    shutil.copytree(pushed / ".astica-sync", pushed / "Can" / ".astica-sync")
    name_address(pushed / "Can", attacker.url)
    with monkeypatch.context() as patch:
        without_addresses(shell)
        patch.chdir(pushed / "Can")
        assert shell(*command).code == 1
    assert attacker.log == [] == sandbox.log
    ran = shell("push", "--yes", "--store", pushed)
    assert "Traceback" not in ran.err
    assert on_service(sandbox, 1001) == before, "what is in the planted store's folder is held"


@pytest.mark.parametrize(
    "change",
    [
        lambda address: f"{address}/elsewhere",
        lambda address: f"{address}/",
        lambda address: f"{address}#",
        lambda address: f"{address}?x",
        lambda address: address.replace("127.0.0.1", "localhost"),
        lambda address: address.replace("127.0.0.1", "127.0.0.2"),
        lambda address: address.replace("http:", "HTTP:"),
        lambda address: address.replace("http://", "http://user@"),
        lambda address: address.replace("127.0.0.1", "127.0.0.1@127.0.0.1"),
    ],
)
def test_permission_for_an_address_is_for_no_other_spelling(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, change
) -> None:
    name_address(pushed, change(sandbox.url))
    without_addresses(shell)
    assert shell("status", "--store", pushed).code == 1
    assert sandbox.log == []


def test_permission_for_a_folder_is_not_for_the_address_of_a_store_that_replaces_it(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, attacker: RunningSandbox
) -> None:
    shutil.copytree(pushed, pushed.with_name("another"))
    shutil.rmtree(pushed)
    pushed.with_name("another").rename(pushed)
    name_address(pushed, attacker.url)
    without_addresses(shell)
    for command in ("status", "push", "init"):
        arguments = (pushed,) if command == "init" else ("--store", pushed)
        ran = shell(command, *arguments)
        assert ran.code == 1 and "astica-sync trust" in ran.err
    assert attacker.log == [] == sandbox.log


def test_an_archive_puts_no_class_in_the_place_of_the_settings(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    before = in_store(pushed)
    archive = tmp_path / "set.zip"
    names = ("astica-sync.toml", "Astica-Sync.TOML", ".astica-ignore", ".astica-sync", "Glass")
    with zipfile.ZipFile(archive, "w") as zipped:
        for number, name in enumerate(names):
            zipped.writestr(f"{name}/{number}.png", draw(tmp_path / "drawn.png", 900 + number).read_bytes())
    ran = shell("import", archive, "--store", pushed)
    assert ran.code == 3 and "settings file" in ran.out
    assert {title for title, _ in in_store(pushed) - before} == {"glass"}
    assert shell("push", "--store", pushed).code == 0


def test_a_status_and_a_dry_run_of_a_copy_say_why_no_push_is_possible(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path
) -> None:
    """The figures are those of the files that are there; from what is gone nothing is concluded."""
    copy = tmp_path / "copy"
    shutil.copytree(pushed, copy)
    there = shell("status", "--json", "--store", pushed).json["local"]["samples"]
    (copy / "Can" / "000.png").unlink()
    shown = shell("status", "--store", copy)
    assert shown.code == 0
    assert f"No push is possible: {copy} was moved to another disk or copied" in " ".join(shown.out.split())
    assert f"it was in {pushed} when it was last used, and is there still" in " ".join(shown.out.split())
    assert shown.out.rstrip().endswith(f"astica-sync init {copy}"), "the last line is the command that helps"
    assert "A push would" not in shown.out
    why = "the folder was moved or copied: what is gone is not compared until astica-sync init"
    assert f"~ Can/000.png ({why})" in " ".join(shown.out.split())
    data = shell("status", "--json", "--store", copy).json
    assert "moved to another disk or copied" in data["changed"]
    assert data["local"]["samples"] == there - 1
    inspected = shell("inspect", copy, "--no-features", "--json").json
    assert inspected["images"] == there - 1
    assert [one for one in inspected["findings"] if one["kind"] == "damaged"] == []
    assert shell("status", "--json", "--store", pushed).json["changed"] is None
    sandbox.clear_log()
    dry, real = shell("push", "--dry-run", "--store", copy), shell("push", "--store", copy)
    assert (dry.code, dry.err) == (real.code, real.err) == (1, dry.err)
    assert "moved to another disk or copied" in dry.err and sandbox.log == []


def test_a_store_whose_disk_is_mounted_under_another_path_names_both_and_the_command(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path
) -> None:
    """Another mount has another device number, as a copy that took the place of the folder has."""
    now = tmp_path / "second mount" / "photos"
    shutil.copytree(pushed, now)
    pushed.rename(tmp_path / "away")
    shutil.rmtree(tmp_path / "away")
    command = f"astica-sync init '{now}'"
    for words in ("status", "push"):
        ran = shell(words, "--store", now)
        shown = ran.out if words == "status" else ran.err
        text = " ".join(shown.split())
        assert f"its disk is mounted under another path: it was in {pushed} before, and is not there now" in text
        assert shown.rstrip().endswith(command)
    assert shell("init", now).code == 0
    assert shell("status", "--exit-code", "--store", now).code == 0
