"""Lines that are too long for the terminal are wrapped between words, whatever command prints them."""

import re
import zipfile
from pathlib import Path

import pytest

from astica_sync.cli.render.watch_status_output import watch_status_lines
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, draw

LONG = "photos of all the cans that we have found at the river since the last summer and have not sorted yet"


def words_of(terminal: Terminal, columns: int) -> str:
    """What the screen shows, its rows joined with spaces. A row that was broken inside a word gives another text."""
    assert any(row.startswith("  ") for row in terminal.rows), terminal.picture
    assert all(len(row) <= columns for row in terminal.rows)
    return " ".join(terminal.picture.split())


def test_the_last_picture_of_watch_names_no_count_that_is_0() -> None:
    status = WatchStatus("/photos", 1, 0.0, WatchState.STOPPED, uploaded=3)
    status.waits = [f"Can/{number}.jpg: its outcome is not known" for number in range(7)]
    assert watch_status_lines(status)[-1] == "  waiting: 2 more; for the reasons: astica-sync status"
    assert sum("not known" in line for line in watch_status_lines(status)) == 5
    status.waits = []
    assert "  uploaded 3, removed 0" in watch_status_lines(status)
    status = WatchStatus("/photos", 1, 0.0, WatchState.STOPPED, queue=2, eta=5.0, failed=1, problems=1)
    assert "  uploaded 0, removed 0, waiting for upload 2 (5 s), failed 1" in watch_status_lines(status)


def test_watch_status_tells_an_earlier_error_from_the_one_it_has_now() -> None:
    errors = ["no network", "the key was refused"]
    halted = WatchStatus("/photos", 1, 0.0, WatchState.HALTED, why="the key was refused. Check it.", errors=errors)
    shown = watch_status_lines(halted)
    assert shown[-1] == "  earlier error: no network" and "\n".join(shown).count("the key was refused") == 1
    idle = WatchStatus("/photos", 1, 0.0, WatchState.IDLE, errors=errors)
    assert watch_status_lines(idle)[-2:] == ["  earlier error: no network", "  earlier error: the key was refused"]


@pytest.mark.long
@pytest.mark.parametrize("columns", [40, 60])
def test_the_last_picture_of_watch_is_broken_between_words(shell: Shell, pushed: Path, columns: int) -> None:
    store = pushed.rename(pushed.with_name(LONG))
    with Terminal(shell, "watch", store, columns=columns) as terminal:
        terminal.until(lambda seen: "● idle" in seen)
        terminal.type("q")
        assert terminal.end() == 130
        shown = words_of(terminal, columns)
    assert LONG in shown
    assert re.search(r"process \d+ since [-\d]+ [:\d]+, stopped", shown), shown
    assert "uploaded 0, removed 0" in shown and "waiting" not in shown


def test_a_row_of_a_class_with_a_long_title_is_one_line(shell: Shell, pushed: Path) -> None:
    draw(pushed / LONG / "one.png", 77)
    with Terminal(shell, "status", "--store", pushed, columns=60) as terminal:
        assert terminal.end() == 0
        rows = terminal.rows
    (row,) = [row for row in rows if row.startswith("photos of all the cans")]
    assert "…" in row and row.endswith("1        0          1"), row
    assert len(row) <= 60


EVENTS = """\
from astica_sync.cli.render.watch_output import JsonWatchOutput, WatchOutput

for output in (WatchOutput(), JsonWatchOutput()):
    output.event("/photos", "note", {text!r})
"""


def test_events_of_watch_are_wrapped_and_json_is_not(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "events.py").write_text(EVENTS.format(text=LONG))
    with Terminal(shell, columns=60, program=tmp_path / "events.py") as terminal:
        assert terminal.end() == 0
        assert f"note {LONG}" in words_of(terminal, 60)
    json_line = terminal.written.decode().splitlines()[-1]
    assert json_line.startswith("{") and LONG in json_line


@pytest.mark.long
@pytest.mark.parametrize("columns", [60, 80])
def test_import_export_and_backup_list_are_wrapped(shell: Shell, pushed: Path, tmp_path: Path, columns: int) -> None:
    with zipfile.ZipFile(tmp_path / f"{LONG}.zip", "w") as archive:
        archive.write(draw(tmp_path / "0.png", 900), f"{LONG}/0.png")
        archive.writestr(f"{LONG}/readme.png", "no image")
    with Terminal(
        shell, "import", tmp_path / f"{LONG}.zip", "--new-class", LONG, "--store", pushed, columns=columns
    ) as terminal:
        assert terminal.end() == 3
        assert f"{LONG}/readme.png: not an image" in words_of(terminal, columns)
        [row] = [row for row in terminal.rows if row.startswith("photos of all") and row.endswith("1")]
        assert "…" in row, "the table has a shortened title in place of a broken row"
    with Terminal(
        shell, "export", tmp_path / LONG, "--format", "csv", "--store", pushed, columns=columns, lines=40
    ) as terminal:
        assert terminal.end() == 0
        assert f"1 {LONG}" in words_of(terminal, columns)
        assert f"{LONG} as csv." in words_of(terminal, columns)
    assert shell("push", "--store", pushed).code == 0
    with Terminal(shell, "backup", "list", "--store", pushed, columns=columns) as terminal:
        assert terminal.end() == 0
        assert f"1 {LONG}" in words_of(terminal, columns)
    assert f"       1  {LONG}\n" in shell("backup", "list", "--store", pushed).out, "whole where it is no terminal"


@pytest.mark.long
def test_a_list_of_snapshots_is_wrapped_and_says_where_there_is_none(shell: Shell, pushed: Path) -> None:
    assert shell("snapshot", "list", "--store", pushed).out.startswith("No snapshots yet. Each training makes one")
    assert shell("snapshot", "list", "--json", "--store", pushed).out == ""
    assert shell("train", "--store", pushed).code == 0
    with Terminal(shell, "snapshot", "list", "--store", pushed, columns=40) as terminal:
        assert terminal.end() == 0
        assert "classes (1001_20001)" in words_of(terminal, 40)


def test_messages_take_the_width_of_their_own_terminal_while_the_output_goes_into_a_pipe(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "note.py").write_text(
        "from astica_sync.cli.render.messages import print_lines\n"
        f"print_lines([{LONG!r}])\n"
        f"print_lines([{LONG!r}], err=True)\n"
    )
    (tmp_path / "piped.py").write_text(
        "import subprocess, sys\n"
        f"with open({str(tmp_path / 'out')!r}, 'w') as out:\n"
        f"    subprocess.run([sys.executable, {str(tmp_path / 'note.py')!r}], stdout=out)\n"
    )
    with Terminal(shell, columns=50, program=tmp_path / "piped.py") as terminal:
        assert terminal.end() == 0
        assert words_of(terminal, 50) == LONG
    # 80 columns are what Python answers where standard output is no terminal.
    assert max(len(line) for line in terminal.written.decode().splitlines()) <= 50, terminal.written
    assert (tmp_path / "out").read_text() == f"{LONG}\n"
