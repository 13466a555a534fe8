"""What the live view says of a pause, of a decision, of problems and in a terminal without our signs."""

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from astica_sync.cli.daily import status as status_command
from astica_sync.cli.render.live import watch_screen
from astica_sync.cli.render.live.in_encoding import InEncoding
from astica_sync.cli.render.live.watch_picture import StoreView, watch_picture
from astica_sync.cli.render.live.watch_screen import WatchScreen
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.text import display_width, safe, shorten, table
from astica_sync.cli.render.watch_output import DesktopOutput, KeyAction
from astica_sync.cli.watch.pause_file import RESUME, pause_store, resume_store
from astica_sync.cli.watch.run_watch import _keys
from astica_sync.clock import Wake
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.local.layout import Layout
from tests.harness.shell import Shell
from tests.harness.watch_process import Start, wait_until
from tests.watch.test_watch_screen import SIZES, drawn, store_view, view_of


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / ".astica-sync").mkdir()
    return Layout(tmp_path)


@pytest.fixture
def status(layout: Layout) -> WatchStatus:
    return WatchStatus(str(layout.root), 1, 0.0, WatchState.WORKING)


@pytest.fixture
def looks() -> list[bool]:
    return []


@pytest.fixture
def keys(layout: Layout, status: WatchStatus, looks: list[bool]) -> dict[str, KeyAction]:
    return _keys([layout], [status], Wake(), lambda: looks.append(True))


def lasts(action: KeyAction) -> bool:
    assert action.lasts is not None
    return action.lasts()


def test_pausing_is_said_until_it_is_paused_and_resuming_until_it_is_not(
    keys: dict[str, KeyAction], status: WatchStatus
) -> None:
    keys["p"].act()
    assert lasts(keys["p"]) and not lasts(keys["r"])
    status.state = WatchState.PAUSED
    assert not lasts(keys["p"]) and not lasts(keys["r"])
    keys["r"].act()
    assert lasts(keys["r"]) and not lasts(keys["p"])
    status.state = WatchState.STARTING
    assert not lasts(keys["r"]) and not lasts(keys["p"])


def test_nothing_is_looked_at_while_it_is_paused(keys: dict[str, KeyAction], layout: Layout, looks: list[bool]) -> None:
    pause_store(layout)
    assert keys["l"].act() == "paused: nothing is looked at; r resumes" and not looks
    resume_store(layout)
    assert keys["l"].act() is None and looks == [True]


def test_the_answer_to_a_key_goes_with_what_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_screen, "is_in_foreground", lambda fd: True)
    screen, goes_on = WatchScreen(), [True]
    screen.keys({"p": KeyAction(lambda: None, "pausing", lambda: goes_on[0])})
    with open(os.devnull, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        screen._start_drawing()
        screen._with_notice(screen._actions["p"])()
        screen.draw()
        assert screen._view.notice == "pausing"
        goes_on.clear()
        goes_on.append(False)
        screen.look()
        screen.draw()
        assert screen._view.notice == ""
        screen.close()


def test_a_request_to_stop_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_screen, "is_in_foreground", lambda fd: True)
    screen, requested = WatchScreen(), [False]
    DesktopOutput(screen).stops(lambda: requested[0])
    with open(os.devnull, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        screen._start_drawing()
        assert not screen._view.is_stopping and not screen._is_working()
        requested[0] = True
        assert screen._is_working(), "it is not drawn once a second alone"
        screen.draw()
        assert screen._view.is_stopping
        screen.close()


@pytest.mark.parametrize("has_keys", [True, False])
def test_a_paused_store_names_the_key_where_there_is_one(has_keys: bool) -> None:
    view = view_of(store_view(state=WatchState.PAUSED, why=f"paused by the user; {RESUME}"))
    view.has_keys = has_keys
    text = "\n".join(drawn(view, 120, 24))
    assert ("paused by the user; r resumes" in text) is has_keys
    assert ("astica-sync watch resume --store /photos/cans" in text) is not has_keys


@pytest.mark.parametrize(("columns", "lines"), SIZES[2:])
def test_problem_files_name_the_command_that_says_why(columns: int, lines: int) -> None:
    rows = " ".join(" ".join(drawn(view_of(store_view(problems=9)), columns, lines)).split())
    assert "9 problem files; for the reasons: astica-sync status --store /photos/cans" in rows


def test_what_waits_for_a_decision_is_not_in_the_bar(status: WatchStatus) -> None:
    screen = WatchScreen()
    status.queue, status.undecided = 1, 1
    screen._update(status)
    assert screen._stores[status.store].backlog == 0
    status.queue = 4
    screen._update(status)
    assert screen._stores[status.store].backlog == 3


LATIN = ("iso-8859-1", "ascii")


@pytest.mark.parametrize("encoding", LATIN)
@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_no_row_is_longer_than_a_terminal_that_lacks_our_signs(
    monkeypatch: pytest.MonkeyPatch, encoding: str, columns: int, lines: int
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    store = store_view(queue=2, waits=["Dose/\N{CJK UNIFIED IDEOGRAPH-4E00}" * 30 + ": waits"], polls="\u25cf" * 40)
    store.status.store = "/photos/" + "\u017c" * 60
    store.backlog, store.in_backlog, store.eta_at = 3, 1, 2000.0
    store.activity.request_sent(1000)
    console = Console(file=out, width=columns, height=lines, force_terminal=True, color_system=None)
    view = view_of(store)
    view.log = [("16:12:01", "uploaded", "Can/" + "\u0142" * 300), ("16:12:02", "note", "\u2026" * 300)]
    console.print(InEncoding(watch_picture(view, console)))
    out.seek(0)
    rows = out.read().splitlines()
    assert len(rows) == lines
    assert max(map(len, rows)) <= columns
    assert "* working" in rows[1] and "\\u25cf working" not in rows[1]


def test_what_the_encoding_lacks_is_counted_as_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "iso-8859-1", "backslashreplace"))
    assert display_width("\u25cf") == 6 and display_width("\xe9") == 1
    assert safe("D\xf6se \u017c") == "D\xf6se \\u017c"
    rows = table([["class", "store"], ["D\xf6se", "1"], ["\u017c", "2"]])
    assert [row.rindex(last) for row, last in zip(rows[1:], "12", strict=True)] == [8, 8 - 5]
    assert display_width(shorten("x" * 30, 12)) <= 12


def test_rows_with_joined_signs_are_no_wider_than_the_terminal_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most terminals give each part of them its own columns, and the library that draws only those of one sign."""
    for name in ("TERM", "TERM_PROGRAM", "WT_SESSION"):
        monkeypatch.delenv(name, raising=False)
    out = io.StringIO()
    console = Console(file=out, width=60, height=20, force_terminal=True, color_system=None)
    view = view_of(store_view())
    names = ("\U0001f44d\U0001f3fd" * 40, "\u0939\u093f\u0928\u094d\u0926\u0940 " * 20, "\U0001f1e9\U0001f1ea" * 40)
    view.log = [("16:12:01", event, name) for event in ("uploaded", "problem") for name in names]
    console.print(watch_picture(view, console))
    rows = out.getvalue().splitlines()
    assert max(map(display_width, rows)) <= 60
    # The one with blanks in it is a sentence, which goes on in the next row where it is no path.
    assert sum("\u2026" in row for row in rows) == 5


def test_no_row_of_the_view_is_filled_up_with_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would go by other columns than the terminal's, and end in the next row."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(watch_screen, "is_in_foreground", lambda _: True)
    monkeypatch.setattr(out, "fileno", lambda: 1, raising=False)
    screen: Any = watch_screen.WatchScreen()
    screen._live = SimpleNamespace(console=Console(file=out, width=60, height=12, force_terminal=True))
    screen.event("store", "problem", "\U0001f44d\U0001f3fd" * 5)
    screen.draw()
    rows = out.getvalue().removeprefix(watch_screen.HOME).split("\r\n")
    assert len(rows) == 12 and all(row.startswith(watch_screen.ERASE_ROW) for row in rows)
    assert any(row.endswith("\U0001f44d\U0001f3fd") for row in rows)


def test_a_restarted_watcher_knows_when_it_was_in_sync(shell: Shell, watch: Start, store: Path) -> None:
    shell.environ["ASTICA_TRAIN_URL"] = shell.environ["ASTICA_DETECT_URL"] = "http://127.0.0.1:9"
    before = WatchStatus(str(store), 1, 0.0, WatchState.STOPPED, agreed_at=1_700_000_000.0)
    (store / ".astica-sync" / "watch.json").write_text(json.dumps(before.as_data()))
    watching = watch(store)
    wait_until(lambda: any(event["event"] != "watching" for event in watching.events))
    watching.stop()
    assert shell("watch", "status", "--json", "--store", store).json["agreed_at"] == 1_700_000_000.0


def test_a_failure_goes_from_the_view_once_the_file_is_uploaded() -> None:
    """As of a file that was looked at while it was copied."""
    screen = WatchScreen()
    screen.event("/photos", "failed", "Can/a.jpg: broken image")
    screen.event("/photos", "failed", "Can/b.jpg: broken image")
    screen.event("/photos", "uploaded", "Can/a.jpg")
    assert [event[1:] for event in screen._log] == [
        ("failed", "Can/b.jpg: broken image"),
        ("uploaded", "Can/a.jpg"),
    ]


def test_status_says_as_the_view_does_that_a_watcher_waits_for_a_decision(
    layout: Layout, status: WatchStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    status.state, status.refusals = WatchState.IDLE, ["class 'Can' is missing"]
    monkeypatch.setattr(status_command, "read_watch_status", lambda layout: (status, True))
    [line] = status_command._watcher_line(layout)
    assert ", waiting for a decision, " in line and "idle" not in line
    assert "● waiting for a decision" in "\n".join(drawn(view_of(StoreView(status, Activity())), 120, 24))
    status.refusals = []
    assert ", idle, " in status_command._watcher_line(layout)[0]


def test_the_commands_of_events_name_the_store() -> None:
    """The watcher may run in another folder, where a command that is pasted from its view would find no store."""
    screen: Any = watch_screen.WatchScreen()
    screen.event(
        "/photos",
        "refused",
        "too many; if that is intended: astica-sync push --yes. To bring them back: "
        "astica-sync backup restore --since 1d --dry-run",
    )
    screen.event("/photos", "uploaded", "Can/astica-sync push.jpg")
    texts = [text for _, _, text in screen._log]
    assert "astica-sync push --yes --store /photos." in texts[0]
    assert texts[0].endswith("astica-sync backup restore --since 1d --dry-run --store /photos")
    assert texts[1] == "Can/astica-sync push.jpg"
