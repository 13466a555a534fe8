"""Real commands on real terminals of several sizes, read by a screen emulator and compared as pictures of text."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sandbox.switches import Switches
from tests.harness.digits import write_digits
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, draw

SIZES = (60, 80, 200)
LIMIT = "the request limit of this key"


def shape(picture: str) -> str:
    """A picture without what is another one each time: figures of time, how far the bar is, and how much of the limit
    earlier commands have spent."""
    picture = re.sub(
        r";\s+\d+\s+requests?\s+of\s+the\s+last\s+\S+(\s+s)?\s+(was|were)\s+not\s+this\s+command's", "", picture
    )
    picture = re.sub(r"\d\d:\d\d:\d\d", "hh:mm:ss", picture)
    picture = re.sub(r"\d+ s\b", "N s", picture)
    return re.sub("[━╸╺]+", "━", picture)


def joined(picture: str) -> str:
    """The shape of a picture whose one line may be broken."""
    return shape(" ".join(picture.splitlines()))


@pytest.mark.long
@pytest.mark.parametrize("columns", SIZES)
def test_a_push_that_waits_shows_the_bar_the_countdown_and_the_rate(
    shell: Shell, sandbox: RunningSandbox, store: Path, columns: int
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "4"}
    with Terminal(shell, "push", "--store", store, columns=columns) as terminal:
        picture = terminal.until(lambda seen: "next request in" in seen)
        assert terminal.end() == 0
        rows = shape(picture).splitlines()
        assert rows[0] == "To upload: 5 samples, to remove: 0 samples, about N s"
        assert re.fullmatch("━ ?[12]/5 N s left", rows[1])
        assert " ".join(rows[2:-1]) == f"next request in N s, at hh:mm:ss: {LIMIT}"
        assert re.match(r"\d requests in the last minute · ", rows[-1]) and ".png" in rows[-1]
        assert "━" not in terminal.picture and "in sync with the store" in terminal.picture.replace("\n  ", " ")


@pytest.mark.long
@pytest.mark.parametrize("command", ["models", "pull-status", "init"])
def test_a_command_that_waits_for_the_limit_says_so(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, command: str, tmp_path: Path
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "2", "ASTICA_LIMIT_WINDOW": "8"}
    arguments: dict[str, list[str | Path]] = {
        "models": ["models"],
        "pull-status": ["pull-status", "--store", pushed],
        "init": ["init", tmp_path / "another", "--model", str(model_id), "--yes"],
    }
    (tmp_path / "another").mkdir()
    for _ in range(2):
        assert shell("models").code == 0
    with Terminal(shell, *arguments[command], columns=80) as terminal:
        picture = terminal.until(lambda seen: LIMIT in seen)
        assert re.search(r"; 2 requests of the last 8 s were not this command's$", " ".join(picture.splitlines()))
        picture = " ".join(picture.splitlines())
        assert shape(picture) == f"waiting N s, until hh:mm:ss: {LIMIT}"
        assert terminal.end() == 0
        assert "waiting" not in terminal.picture


STEPPING = """
import os, time
passed, monotonic = 0.0, time.monotonic
time.monotonic = lambda: monotonic() + passed
from astica_sync.cli.main import main
from astica_sync.cli.render.live import progress
from astica_sync.clock import SystemClock
shown = []
progress.Progress._start = lambda self: shown.append(self)
def sleep(self, seconds):
    global passed
    os.write(2, b"[the wait begins]")
    for step in range(int(seconds / progress.DRAW_EVERY) + 2):
        if step * progress.DRAW_EVERY == 2.0:
            os.write(2, b"[two seconds of it are over]")
        passed += progress.DRAW_EVERY
        shown[-1].tick()
SystemClock.sleep = sleep
main()
"""
"""The program with waits that take no time: each goes on step by step, and at each step is drawn what is due."""


@pytest.mark.long
@pytest.mark.parametrize("command", ["pull-status", "push", "watch"])
@pytest.mark.parametrize("on_terminal", [True, False], ids=["terminal", "pipe"])
def test_a_wait_for_the_limit_is_shown_before_two_seconds_of_it_are_over(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path, command: str, on_terminal: bool
) -> None:
    # The requests of the push fill it.
    shell.environ |= {"ASTICA_LIMIT": "2", "ASTICA_LIMIT_WINDOW": "120"}
    program = tmp_path / "stepping.py"
    program.write_text(STEPPING)
    arguments = [command, *(["--once"] if command == "watch" else ["--store"]), pushed]
    if on_terminal:
        with Terminal(shell, *arguments, program=program) as terminal:
            assert terminal.end() == 0, terminal.picture
            written = terminal.written.decode()
        before = written.partition("[two seconds of it are over]")
    else:
        ran = shell.finish(shell.start(*arguments, program=program))
        assert ran.code == 0, ran.err
        before = ran.err.partition("[the wait begins]")
    assert before[1] and LIMIT in before[0], before


@pytest.mark.long
@pytest.mark.parametrize("flags", [["-q"], ["--json"]])
def test_quiet_and_json_stay_clean(shell: Shell, sandbox: RunningSandbox, store: Path, flags: list[str]) -> None:
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "4"}
    ran = shell("push", "--store", store, *flags)
    assert ran.code == 0
    if "-q" in flags:
        assert ran.err == ""
    else:
        assert ran.json["uploaded"] == 5


@pytest.mark.long
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "unknown")])
def test_a_terminal_without_colours_or_without_a_cursor(
    shell: Shell, sandbox: RunningSandbox, store: Path, name: str, value: str
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "4", name: value}
    with Terminal(shell, "push", "--store", store) as terminal:
        assert terminal.end() == 0
        if name == "TERM":
            assert b"\x1b" not in terminal.written
        else:
            assert not re.search(rb"\x1b\[[0-9;]*3[0-9]", terminal.written)
            assert b"next request in" in terminal.written


@pytest.mark.long
def test_ctrl_c_leaves_a_clean_screen_with_the_cursor_shown(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    shell.environ |= {"ASTICA_LIMIT": "3", "ASTICA_LIMIT_WINDOW": "30"}
    with Terminal(shell, "push", "--store", store) as terminal:
        terminal.until(lambda seen: "next request in" in seen)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert not terminal.screen.cursor.hidden
        assert "next request in" not in terminal.picture and "━" not in terminal.picture
        assert "Uploaded" in terminal.picture


@pytest.mark.long
def test_a_long_name_of_wide_characters_is_cut_visibly(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    for path in (store / "Can").iterdir():
        path.unlink()
    for number in range(4):
        draw(store / "Can" / f"{'瓶' * 60}{number}.png", number)
    shell.environ |= {"ASTICA_LIMIT": "5", "ASTICA_LIMIT_WINDOW": "4"}
    with Terminal(shell, "push", "--store", store, columns=60) as terminal:
        picture = terminal.until(lambda seen: "…瓶" in seen.replace(" ", "") and "next request" in seen)
        assert re.search(r"· …瓶.*\d\.png$", picture.replace("瓶 ", "瓶"), re.MULTILINE), picture
        assert terminal.end() == 0


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_push_that_is_suspended_leaves_the_cursor_shown(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "4"}
    with Terminal(shell, "push", "--store", store) as terminal:
        terminal.until(lambda seen: "next request in" in seen)
        os.kill(terminal.process.pid, signal.SIGSTOP)
        terminal.read(0.2)
        assert not terminal.screen.cursor.hidden
        os.kill(terminal.process.pid, signal.SIGCONT)
        assert terminal.end() == 0
        assert "in sync" in terminal.picture and "━" not in terminal.picture


@pytest.mark.long
@pytest.mark.parametrize(("columns", "lines"), [(0, 0), (1, 1), (9, 3)])
def test_a_terminal_of_no_size_or_a_tiny_one_stops_nothing(
    shell: Shell, sandbox: RunningSandbox, store: Path, columns: int, lines: int
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "4"}
    with Terminal(shell, "push", "--store", store, columns=columns, lines=lines) as terminal:
        assert terminal.end() == 0
    with Terminal(shell, "watch", store, columns=columns, lines=lines) as terminal:
        terminal.until(lambda _: terminal.is_raw())
        terminal.type("q")
        assert terminal.end() == 130


@pytest.mark.long
@pytest.mark.parametrize("command", ["push", "watch"])
def test_in_the_background_nothing_is_drawn_and_nothing_stops(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path, command: str
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "4"}
    program = tmp_path / "in_background.py"
    # As a shell with job control does after "&".
    program.write_text(
        "import os, sys\n"
        "if child := os.fork():\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "os.setpgid(0, 0)\n"
        "from astica_sync.cli.main import main\n"
        "main()\n"
    )
    with Terminal(shell, command, *(["--store"] if command == "push" else []), store, program=program) as terminal:
        terminal.until(lambda seen: "Uploaded 5" in seen or seen.count("uploaded") == 5)
        assert b"\x1b[?1049h" not in terminal.written and "━".encode() not in terminal.written
        if command == "push":
            assert terminal.end() == 0
        else:
            kill_children(terminal.process.pid)
            terminal.end()


def kill_children(pid: int) -> None:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)


@pytest.mark.long
@pytest.mark.parametrize("breaks", [True, False])
def test_nothing_of_the_old_picture_stays_when_the_terminal_is_made_narrower(
    shell: Shell, sandbox: RunningSandbox, store: Path, breaks: bool
) -> None:
    """Most terminals break the lines that have become too long; others cut them."""
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "8"}
    with Terminal(shell, "push", "--store", store, columns=200) as terminal:
        terminal.until(lambda seen: "next request in" in seen)
        for columns in (60, 35):
            if breaks:
                terminal.break_long_lines(columns)
            else:
                terminal.resize(columns, 24)
            drawn = len(terminal.written)
            terminal.until(lambda seen, drawn=drawn: "━".encode() in terminal.written[drawn:])
            terminal.read(0.1)
            rows = shape(terminal.picture).splitlines()
            first = next(place for place, row in enumerate(rows) if "━" in row)
            kept = "".join("".join(rows[:first]).split())
            assert len(kept) >= min(43, columns - 10) and "Toupload:5samples,toremove:0samples,aboutNs".startswith(kept)
            assert [row for row in rows if "━" in row] == [rows[first]], terminal.picture
            assert " ".join(rows[first + 1 : -1]) == f"next request in N s, at hh:mm:ss: {LIMIT}"
        assert terminal.end() == 0
        assert "━" not in terminal.picture and "next request" not in terminal.picture


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_z_erases_the_picture_and_it_is_drawn_again_afterwards(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "8"}
    program = tmp_path / "as_a_shell.py"
    # A process of its own group that has a parent in another one, as under a shell: only that is ever suspended.
    program.write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "if child := os.fork():\n"
        "    os.setpgid(child, child)\n"
        "    os.tcsetpgrp(0, child)\n"
        "    state = 0\n"
        "    while os.WIFSTOPPED(state := os.waitpid(child, os.WUNTRACED)[1]):\n"
        "        os.tcsetpgrp(0, os.getpgrp())\n"
        "        os.write(1, b'suspended')\n"
        "        key = os.read(0, 2)[:1]\n"
        "        os.write(1, b'\\r\\nprompt' if key == b'b' else b'\\r\\n')\n"
        "        if key != b'b':\n"
        "            os.tcsetpgrp(0, child)\n"
        "        os.kill(child, signal.SIGCONT)\n"
        "    sys.exit(os.waitstatus_to_exitcode(state))\n"
        "os.setpgid(0, 0)\n"
        "from astica_sync.cli.main import main\n"
        "main()\n"
    )
    with Terminal(shell, "push", "--store", store, program=program) as terminal:
        terminal.until(lambda seen: "next request in" in seen)
        terminal.type("\x1a")
        picture = terminal.until(lambda seen: "suspended" in seen)
        assert "━" not in picture and "next request" not in picture and "To upload" in picture
        terminal.type("f\n")
        terminal.until(lambda seen: "━" in seen)
        terminal.type("\x1a")
        terminal.until(lambda seen: seen.count("suspended") == 2)
        terminal.type("b\n")
        assert terminal.end() == 0
        # In the background it draws nothing, and erases nothing of what the shell has written.
        assert "prompt" in terminal.picture and "in sync" in terminal.picture and "━" not in terminal.picture


@pytest.fixture
def digits(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A pushed store that can be trained on, beside it ``held`` with eight other images."""
    folder = write_digits(tmp_path / "digits", 2)
    write_digits(tmp_path / "held", 2, start=4)
    shell.environ |= {"ASTICA_LIMIT": "1000", "ASTICA_LIMIT_WINDOW": "1"}
    for arguments in (["init", folder, "--model", str(sandbox.add_model("Digits"))], ["push", "--store", folder]):
        ran = shell(*arguments)
        assert ran.code == 0, ran.err
    return folder


@pytest.mark.long
@pytest.mark.parametrize("columns", SIZES)
@pytest.mark.parametrize("switches", [Switches(training_time=16.0)], ids=["16 s"], indirect=True)
def test_a_training_shows_the_countdown_and_how_long_it_has_taken(
    shell: Shell, sandbox: RunningSandbox, digits: Path, columns: int
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "1", "ASTICA_LIMIT_WINDOW": "5"}
    shell.short_pauses = False
    with Terminal(shell, "train", "--store", digits, columns=columns) as terminal:
        picture = terminal.until(lambda seen: LIMIT in seen.replace("\n", " "))
        assert joined(picture) == f"waiting N s, until hh:mm:ss: {LIMIT}"
        picture = terminal.until(lambda seen: "Training on 8 samples" in seen)
        assert joined(picture) == "Training on 8 samples for N s; 5 to 10 min are usual"
        assert terminal.end() == 0
        assert terminal.picture == sandbox.versions(sandbox.models()[0][0])[-1]


@pytest.mark.long
@pytest.mark.parametrize("columns", SIZES)
def test_an_evaluation_shows_the_countdown(shell: Shell, sandbox: RunningSandbox, digits: Path, columns: int) -> None:
    assert shell("train", "--store", digits).code == 0
    shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "9"}
    with Terminal(shell, "evaluate", digits.with_name("held"), "--store", digits, columns=columns) as terminal:
        terminal.until(lambda seen: "Start?" in seen)
        terminal.type("\n")
        picture = terminal.until(lambda seen: LIMIT in seen.replace("\n", " "))
        assert joined(picture.partition("[Y/n]:")[2]) == f" waiting N s, until hh:mm:ss: {LIMIT}"
        assert terminal.end() == 0
        assert "waiting" not in terminal.picture and b"100.0 % right, 8 of 8" in terminal.written
