"""Help, unknown commands, the global flags, and the shell completion in real shells."""

import inspect
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from astica_sync.cli.main import ALIASES, GROUPS, cli
from astica_sync.cli.render.live.open_watch_output import open_output
from astica_sync.cli.render.messages import wrap
from astica_sync.cli.render.text import display_width
from astica_sync.cli.render.verbosity import Verbosity, set_verbosity
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill


def _commands(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield names, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, *names, name)


COMMANDS = dict(_commands(cli))


@pytest.mark.parametrize("columns", ["60", "80"])
@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_fits_and_is_complete(shell: Shell, names: tuple[str, ...], columns: str) -> None:
    shell.environ["COLUMNS"] = columns
    ran = shell(*names, "--help")
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= int(columns)
    assert "…" not in ran.out
    assert not re.search(r"[a-z]\.\.\.$", ran.out, re.MULTILINE), "a line is cut"


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_examples(names: tuple[str, ...]) -> None:
    paragraphs = inspect.cleandoc(COMMANDS[names].help or "").split("\n\n")
    examples = [line.strip() for text in paragraphs if text.startswith("\b") for line in text.splitlines()[1:]]
    called = [" ".join(("astica-sync", *names)), *(f"astica-sync {alias}" for alias in ALIASES)]
    assert any(name in example for example in examples for name in called)


def test_the_main_help_lists_each_command_under_its_group(shell: Shell) -> None:
    out = shell("--help").out
    headings = [line[:-1] for line in out.splitlines() if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert headings == ["Options", *GROUPS, "Exit codes"]
    for heading, names in GROUPS.items():
        section = out.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  ([a-z-]+)  ", section, re.MULTILINE) == [
            "status" if name == "pull-status" else name for name in names
        ]
    assert "(also: pull-status)" in out


def test_the_folder_of_a_command_is_that_of_its_group() -> None:
    folders = {heading: {target.split(".")[2] for target in names.values()} for heading, names in GROUPS.items()}
    assert folders == {
        "Start": {"start"},
        "Daily": {"daily"},
        "Undo": {"undo"},
        "Import and export": {"exchange"},
        "Train and compare": {"training"},
        "Services": {"service"},
    }


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("pusj",), "push"),
        (("statsu",), "status"),
        (("pul-status",), "pull-status"),
        (("backup", "veryfy"), "verify"),
        (("snapshot", "dif"), "diff"),
        (("models", "craete"), "create"),
        (("push", "--dry-rum"), "--dry-run"),
    ],
)
def test_an_unknown_command_or_flag_gets_a_suggestion(shell: Shell, typed: tuple[str, ...], meant: str) -> None:
    ran = shell(*typed)
    assert ran.code == 2
    assert re.search(f"[Dd]id you mean .?{meant}.?", ran.err), ran.err


def test_an_unknown_command_that_is_like_no_other_gets_no_suggestion(shell: Shell) -> None:
    ran = shell("xylophone")
    assert ran.code == 2
    assert "No such command 'xylophone'.\n" in ran.err and "mean" not in ran.err


def test_status_is_pull_status(shell: Shell, store: Path) -> None:
    assert ALIASES == {"status": "pull-status"}
    name, alias = (shell(command, "--json", "--store", store) for command in ("pull-status", "status"))
    assert alias.code == name.code == 0
    # The second one has another price, and another view.
    assert {**alias.json, "plan": None, "asked_at": 0} == {**name.json, "plan": None, "asked_at": 0}


# Quiet and verbose.


@pytest.mark.parametrize("where", ["before", "after"])
def test_quiet_prints_the_result_alone(shell: Shell, store: Path, where: str) -> None:
    ran = shell(*(("-q", "push") if where == "before" else ("push", "--quiet")), "--store", store)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "Uploaded 5, removed 0, with 7 requests. The service is in sync with the store.\n"


@pytest.mark.parametrize("where", ["before", "after"])
def test_verbose_prints_each_step_on_standard_error(shell: Shell, store: Path, where: str) -> None:
    ran = shell(*(("-v", "push") if where == "before" else ("push", "--verbose")), "--store", store)
    assert ran.code == 0
    assert "uploaded Can/000.png\n" in ran.err and "Traceback" not in ran.err
    assert ran.out == "Uploaded 5, removed 0, with 7 requests. The service is in sync with the store.\n"


@pytest.mark.parametrize("flag", ["-q", "-v"])
def test_json_stays_one_object_with_either_flag(shell: Shell, store: Path, flag: str) -> None:
    ran = shell("push", "--json", flag, "--store", store)
    assert ran.json["uploaded"] == 5
    assert bool(ran.err) is (flag == "-v")


def test_quiet_still_prints_errors_and_what_failed(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    nowhere = shell("-q", "push", "--store", tmp_path)
    assert nowhere.code == 1 and "astica-sync init" in nowhere.err
    image = draw(pushed / "Can" / "broken.png", 40)
    image.write_bytes(image.read_bytes()[:-20])
    ran = shell("-q", "push", "--store", pushed)
    assert ran.code == 3 and "Can/broken.png" in ran.out


def test_a_quiet_watcher_prints_only_what_needs_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(cli) as context:
        set_verbosity(context, Verbosity.QUIET)
        output = open_output(as_json=False, notify=False)
    for name in ("watching", "uploaded", "failed", "waiting", "halted", "refused"):
        output.event("store", name, f"text of {name}")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("text of ")[1] for line in lines] == ["failed", "halted", "refused"]


def test_the_flags_work_in_front_of_and_behind_a_sub_command(shell: Shell, pushed: Path) -> None:
    for words in (("-q", "backup", "verify"), ("backup", "-q", "verify"), ("backup", "verify", "-q")):
        ran = shell(*words, "--store", pushed)
        assert (ran.code, ran.out, ran.err) == (0, "5 objects good, 0 repaired, 0 damaged\n", "")


def test_quiet_and_verbose_exclude_each_other(shell: Shell, store: Path) -> None:
    for words in (("-q", "-v", "push"), ("-q", "push", "-v"), ("push", "-v", "-q")):
        ran = shell(*words, "--store", store)
        assert ran.code == 2 and "either --quiet or --verbose" in ran.err


def test_init_makes_a_model_of_type_image_where_none_is_given(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "photos", {"Can": 1})
    assert shell("init", folder, "--create", "Cans", "--purpose", "sort cans").code == 0
    [model] = json.loads(shell("models", "--json").out)
    assert (model["title"], model["type"]) == ("Cans", "image")
    quiet = shell("-q", "init", folder)
    assert len(quiet.out.splitlines()) == 1 and "Next" not in quiet.out


# Long lines on a terminal.


def test_a_long_line_is_wrapped_between_words_and_never_inside_a_command() -> None:
    line = "  Its uploads wait. Rename the folder, or run: astica-sync push --new-class Bottles, then look again"
    assert wrap(line, 60) == [
        "  Its uploads wait. Rename the folder, or run:",
        "    astica-sync push --new-class Bottles, then look again",
    ]
    assert wrap(line, 200) == [line]
    styled = click.style("! Can/a.png  (text file: convert it)", fg="red")
    assert wrap(styled, 36) == [styled], "colours take no room"
    assert wrap("x" * 80, 40) == ["x" * 80], "a word is never broken"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Run: astica-sync push. To train on what the service has: astica-sync train --anyway", "train --anyway"),
        (
            "see why: astica-sync status --store '/a/My Phone'\"'\"'s $Photos, all (2026) [new]'",
            "Phone'\"'\"'s $Photos, all (2026) [new]'",
        ),
        (
            "Make it a file of its own: cp -p '/a b/c' '/a b/c.copy' && mv '/a b/c.copy' '/a b/c'",
            "cp -p '/a b/c' '/a b/c.copy' && mv",
        ),
        (
            "fix the permissions: chmod -R u+rwX '/volume one/photos of all', then go on with it",
            "u+rwX '/volume one/photos of all'",
        ),
        ("see ls -l $'/a/caf\\xe9 it\\'s b', and the rest of this line that is long enough", "$'/a/caf\\xe9 it\\'s b'"),
        ("copy it to the store's folder, or to a folder of the model's own, and look again there", ""),
    ],
)
def test_each_command_of_a_wrapped_hint_is_whole_in_one_line(text: str, whole: str) -> None:
    lines = wrap(text, 40)
    assert sum(whole in line for line in lines) == (1 if whole else len(lines))
    assert " ".join(line.strip() for line in lines) == text
    assert whole or max(map(len, lines)) <= 40


def test_wide_characters_and_combining_marks_count_as_the_columns_they_take() -> None:
    for word in ("\u685c\u306e\u6728", "\N{CHERRY BLOSSOM}\N{CHERRY BLOSSOM}", "e\u0301e\u0301e\u0301", "plain"):
        line = "  " + " ".join([word] * 40)
        lines = wrap(line, 60)
        assert max(map(display_width, lines)) <= 60, lines
        # As much as fits is in each line.
        assert all(display_width(one) + 1 + display_width(word) > 60 for one in lines[:-1])
    command = "astica-sync push --new-class '\u685c \N{CHERRY BLOSSOM}'"
    assert wrap(f"The folder has a new title; run: {command}", 60)[-1] == f"  {command}"


def test_a_command_as_long_as_the_line_has_no_indent_and_a_longer_one_is_whole() -> None:
    command = "astica-sync push --new-class 'a b c d' --store '/photos of all/cans'"
    for width in (len(command), len(command) + 1, 30):
        lines = wrap(f"Its uploads wait, run: {command} and look at the result again", width)
        assert any(line.strip().startswith(command) for line in lines), lines
    assert wrap("Name its columns: --column path=Datei", 32)[-1] == "  --column path=Datei"
    assert wrap("did you mean that one? --map 'a b=A B', or --new-class 'a b'", 56)[-1] == "  --new-class 'a b'"


def test_prose_after_a_command_is_wrapped() -> None:
    lines = wrap("Run: astica-sync push. To train on what the service has: astica-sync train --anyway", 60)
    assert lines == ["Run: astica-sync push. To train on what the service has:", "  astica-sync train --anyway"]


def test_a_sentence_about_a_command_is_wrapped_as_any_other_and_a_redirection_is_whole() -> None:
    moved = "astica-sync init has made /photos of all/cans the copy that writes to the model, and the other is not it"
    assert len(wrap(moved, 60)[0]) > 50
    assert wrap("It is in the store, so astica-sync status lists it as a problem", 44)[0].endswith("astica-sync status")
    assert "    cat > /home/me/key" in "\n".join(wrap("  Write the key to it: cat > /home/me/key, then Ctrl-D", 26))


def test_what_follows_a_label_stays_below_its_beginning() -> None:
    lines = wrap("Watcher  process 25061 since 2026-12-01 03:47, paused by the user", 40)
    assert lines == ["Watcher  process 25061 since 2026-12-01", "         03:47, paused by the user"]
    assert wrap("Failed before; it is not tried again", 30)[1] == "  again", "a sentence has no label"


# Shell completion.


def _shells() -> list[object]:
    return [
        pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed"))
        for name in ("bash", "zsh", "fish")
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", _shells())
def test_the_installed_completion_completes_a_command_in_a_real_shell(shell: Shell, name: str) -> None:
    shell.environ["XDG_DATA_HOME"] = ""
    first = shell("completion", name, "--install")
    assert first.code == 0, first.err
    files = {path: path.read_bytes() for path in shell.home.rglob("*") if path.is_file()}
    assert all(str(path) in first.out for path in files)
    again = shell("completion", name, "--install")
    assert again.code == 0
    assert {path: path.read_bytes() for path in shell.home.rglob("*") if path.is_file()} == files, "installed twice"

    assert "sions" in _type(shell, name, "astica-sync ver\t", until="sions")
    assert "ify" in _type(shell, name, "astica-sync backup ver\t", until="ify")


def test_installing_the_completion_keeps_what_the_startup_file_has(shell: Shell) -> None:
    shell.environ["XDG_DATA_HOME"] = ""
    startup = shell.home / ".bashrc"
    startup.write_bytes(b"alias x=y\nexport NAME=caf\xe9")
    assert shell("completion", "bash", "--install").code == 0
    assert startup.read_bytes().startswith(b"alias x=y\nexport NAME=caf\xe9\nif [ -r ")
    assert subprocess.run(["bash", "-n", startup], check=False).returncode == 0


def test_the_completion_script_is_printed_where_it_is_not_installed(shell: Shell) -> None:
    ran = shell("completion", "bash")
    assert ran.code == 0 and ran.out.rstrip().endswith("_astica_sync_completion_setup;")
    assert not list(shell.home.iterdir())
    unknown = shell("completion", "tcsh")
    assert unknown.code == 2 and "'bash', 'zsh', 'fish'" in unknown.err


def _type(shell: Shell, name: str, keys: str, until: str) -> str:
    """Types into a new interactive shell on a terminal; returns what it shows."""
    child, leader = pty.fork()
    if child == 0:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        os.chdir(shell.home)
        os.execvpe(name, [name, "-i"], {**os.environ, **shell.environ, "PATH": path, "TERM": "xterm", "PS1": "ready> "})
    shown = b""
    typed_at: int | None = None
    last_output = time.monotonic()
    deadline = last_output + 30
    try:
        while time.monotonic() < deadline and (typed_at is None or until.encode() not in shown[typed_at:]):
            if select.select([leader], [], [], 0.1)[0]:
                shown += os.read(leader, 65536)
                last_output = time.monotonic()
            elif typed_at is None and shown and time.monotonic() > last_output + 0.3:
                typed_at = len(shown)
                os.write(leader, keys.encode())
    finally:
        os.close(leader)
        os.kill(child, 9)
        os.waitpid(child, 0)
    return shown[typed_at or 0 :].decode("utf-8", "replace")
