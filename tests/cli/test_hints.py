"""What a message tells the user to paste does what it says."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from astica_sync.cli.render.messages import name_store, set_named_store
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, in_store, on_service


@pytest.mark.long
@pytest.mark.parametrize("title", ["Bo\u200cttle", "Bottle's", "Bottle ", "B\u043ettle"])
def test_the_command_that_confirms_a_new_class_can_be_pasted(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, title: str
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    draw(pushed / title / "new.png", 77)
    refused = shell("push", "--store", pushed)
    if refused.code == 0:
        # It is like no other class, so nothing was asked.
        assert title == "Bottle's"
        return
    assert refused.code == 4
    (command,) = re.findall(r"astica-sync (push --new-class .*)", refused.out + refused.err)
    ran = shell.finish(shell.start_shell(bash, f"{sys.executable} -m {shell.program} {command} --store {pushed}"))
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.parametrize("mapped", [True, False])
def test_the_options_that_an_import_names_for_a_nearly_known_class_can_be_pasted(
    shell: Shell, pushed: Path, tmp_path: Path, mapped: bool
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    known, label = "it's a bottle; $HOME", "it's a botle; $HOME"
    draw(pushed / known / "old.png", 76)
    draw(tmp_path / "set" / label / "new.png", 77)
    shell.environ["COLUMNS"] = "300"
    words = ("import", str(tmp_path / "set"), "--store", str(pushed))
    looked, refused = shell(*words, "--dry-run"), shell(*words)
    assert (looked.code, refused.code) == (4, 4), looked.err + refused.err
    for shown in (looked.out, refused.err):
        options = re.search(r"(--map .*), or (--new-class '.*')", shown)
        assert options is not None, shown
    command = f"{sys.executable} -m {shell.program} {shlex.join(words)} {options[1 if mapped else 2]}"
    ran = shell.finish(shell.start_shell(bash, command))
    assert ran.code == 0, ran.err
    assert (pushed / (known if mapped else label) / "new.png").is_file()


def test_the_folder_that_export_names_in_place_of_an_archive_can_be_pasted(shell: Shell, pushed: Path) -> None:
    for ending in (".tar", ".tar.gz", ".ZIP"):
        ran = shell("export", pushed.with_name(f"my cans{ending}"), "--format", "webdataset", "--store", pushed)
        assert ran.code == 1
        assert f"Name a folder: '{pushed.with_name('my cans')}'" in ran.err


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_new_class_that_no_folder_has_is_reported(shell: Shell, pushed: Path, more: list[str]) -> None:
    shell.environ["COLUMNS"] = "300"
    ran = shell("push", "--store", pushed, "--new-class", "Botles", "--new-class", "Can", *more)
    assert ran.code == 0
    assert "no folder of the store has the title 'Botles', so it changes nothing" in ran.err
    assert "'Can'" not in ran.err


@pytest.mark.long
def test_commands_with_another_home_share_the_budget_where_they_share_the_state_folder(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    """As under sudo, in cron and in a container."""
    shell.environ |= {"ASTICA_LIMIT": "3", "ASTICA_LIMIT_WINDOW": "3600", "COLUMNS": "200"}
    shell.environ["XDG_STATE_HOME"] = str(tmp_path / "shared")
    for home in ("one", "two", "three"):
        shell.environ |= {"HOME": str(tmp_path / home), "XDG_CONFIG_HOME": str(tmp_path / home / "config")}
        assert shell("models").code == 0
    sandbox.clear_log()
    waiting = shell.start("models")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(5)
    waiting.terminate()
    waiting.communicate()
    assert sandbox.log == []
    shell.environ["XDG_STATE_HOME"] = str(tmp_path / "another")
    assert shell("models").code == 0


@pytest.mark.long
def test_the_commands_of_hints_find_a_store_that_the_user_named(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    """Without it they would find no store in the current folder, or another one."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    store = pushed.rename(tmp_path / "it's a $HOME")
    draw(store / "Can" / "new.png", 77)
    shown = shell("status", "--store", store)
    (command,) = re.findall(r"astica-sync (push .*)", shown.out)
    ran = shell.finish(shell.start_shell(bash, f"{sys.executable} -m {shell.program} {command}"))
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)


def test_the_hint_of_an_error_names_the_store_as_well(shell: Shell, pushed: Path) -> None:
    shell.environ["COLUMNS"] = "300"
    missing = shell("snapshot", "show", "@9", "--store", pushed)
    assert missing.code == 1 and f"astica-sync versions --store {pushed}" in missing.err


ABOUT_THE_STORE = (
    "adopt",
    "backup list",
    "backup prune",
    "backup restore",
    "log",
    "push",
    "snapshot list",
    "status",
    "train",
    "versions",
    "watch pause",
    "watch resume",
    "watch status",
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("A push would send 2 requests: astica-sync push", "A push would send 2 requests: astica-sync push --store /a"),
        ("astica-sync push --yes, or --max-remove N.", "astica-sync push --yes --store /a, or --max-remove N."),
        ("Run: astica-sync push. To train: astica-sync train --anyway", "astica-sync train --anyway --store /a"),
        ("run: astica-sync push --new-class Jars", "push --new-class Jars --store /a"),
        ("run: astica-sync push --as 'a b'", "push --as 'a b' --store /a"),
        ("see why: astica-sync backup verify, then push again", "backup verify --store /a, then push again"),
        ("List all: astica-sync snapshot show 'v 1' --json", "astica-sync snapshot show 'v 1' --json --store /a"),
        ("more: astica-sync snapshot diff @1 @2", "astica-sync snapshot diff @1 @2 --store /a"),
        ("try again: astica-sync backup mirror s3://b/c --verify all", "mirror s3://b/c --verify all --store /a"),
        ("to remove it: astica-sync remove-sample ID", "astica-sync remove-sample ID --store /a"),
        ("(run astica-sync adopt)", "(run astica-sync adopt --store /a)"),
        (
            "Evaluate on it: astica-sync evaluate ../held-out. Scores",
            "astica-sync evaluate ../held-out --store /a. Scores",
        ),
        ("make one with: astica-sync split --to DIR", "astica-sync split --to DIR --store /a"),
        ("astica-sync evaluate scores it.", "astica-sync evaluate scores it."),
        ("/x was not made by astica-sync split", "/x was not made by astica-sync split"),
        ("\x1b[31msee astica-sync log\x1b[0m", "\x1b[31msee astica-sync log --store /a\x1b[0m"),
        *((f"run: astica-sync {name}", f"astica-sync {name} --store /a") for name in ABOUT_THE_STORE),
        ("see astica-sync status --store /b", "status --store /b"),
        ("or: astica-sync backup restore --from URL --to FOLDER", "restore --from URL --to FOLDER"),
        ("astica-sync status lists it under problems", "astica-sync status lists it under problems"),
        ("push --retry tries them again (1)", "push --retry tries them again (1)"),
        ("To list them: astica-sync models", "astica-sync models"),
    ],
)
def test_the_store_is_named_at_the_end_of_a_command(text: str, named: str) -> None:
    set_named_store(Path("/a"))
    try:
        assert name_store(text).endswith(named)
    finally:
        set_named_store(None)
    assert name_store(text) == text


def test_the_store_is_not_named_inside_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    set_named_store(tmp_path)
    assert name_store("astica-sync push") == "astica-sync push"
