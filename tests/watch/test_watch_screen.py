"""The live view of ``watch``: its picture at every size, its keys on a real terminal, and the terminal afterwards."""

import io
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from astica_sync.cli.render.live.watch_picture import StoreView, WatchView, watch_picture
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.watch_status_output import watch_status_lines
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.remote.rate_limiter import WAIT_REASON
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, draw, fill
from tests.harness.watch_process import wait_until

SIZES = ((40, 10), (60, 20), (80, 24), (200, 50))
NOW = 1_800_000_000.0
REASON = "the plan removes 14 of 20 managed samples"


def view_of(*stores: StoreView, events: int = 30) -> WatchView:
    log = [("16:12:01", "uploaded", f"Can/IMG_{number:04}.jpg") for number in range(events)]
    return WatchView(list(stores), log, now="16:12:44")


def store_view(**fields: object) -> StoreView:
    status = WatchStatus("/photos/cans", 4711, NOW, WatchState.WORKING, agreed_at=NOW)
    for name, value in fields.items():
        setattr(status, name, value)
    return StoreView(status, Activity(lambda: 1000.0, lambda: NOW))


def drawn(view: WatchView, columns: int, lines: int) -> list[str]:
    """The rows of the screen."""
    console = Console(
        file=io.StringIO(), width=columns, height=lines, force_terminal=True, color_system=None, legacy_windows=False
    )
    with console.capture() as captured:
        console.print(watch_picture(view, console))
    return captured.get().splitlines()


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_a_backlog_shows_its_bar_its_countdowns_and_its_rate(columns: int, lines: int) -> None:
    store = store_view(queue=1916)
    store.backlog, store.in_backlog, store.uploaded, store.eta_at = 1999, 83, 83, 1000.0 + 1278
    store.activity.request_sent(1_000_000)
    store.activity.request_ended(1_000_000, answered=True)
    store.activity.next_request(43.0, WAIT_REASON)
    rows = drawn(view_of(store, events=60), columns, lines)
    assert len(rows) == lines
    assert rows[0].startswith("astica-sync watch") and rows[0].endswith("16:12:44")
    assert rows[1].rstrip() == "/photos/cans  ● working"
    # Without colours the bar has no part for what is left.
    assert re.fullmatch(r"  [━╸ ]+ 83/1,999 21 min 18 s left", rows[2])
    text = " ".join(" ".join(rows).split())
    assert re.search(rf"next request in 43 s, at \d\d:\d\d:\d\d: {WAIT_REASON}", text)
    assert "uploaded 83 · removed 0" in text
    assert columns < 80 or "waiting 1,916 · 1 request in the last minute" in text
    assert rows[-1].rstrip() == "p pause  r resume  l look now  q quit"
    assert "uploaded Can/IMG_0059.jpg" in rows[-2]


def test_two_reasons_to_wait_are_shown_both_and_those_without_a_row_are_counted() -> None:
    store = store_view(waits=[f"Can/{number}.jpg: its outcome is not known" for number in range(5)], queue=5)
    store.activity.waits(20.0, "the service refused a request because of its rate limit")
    store.activity.next_request(43.0, WAIT_REASON)
    text = " ".join(" ".join(drawn(view_of(store, events=0), 120, 30)).split())
    assert "waiting 20 s, until" in text and "the service refused a request" in text
    assert re.search(rf"also until \d\d:\d\d:\d\d: {WAIT_REASON}", text)
    assert text.count("its outcome is not known") == 3
    assert "waiting: 2 more; for the reasons: astica-sync status --store /photos/cans" in text


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_a_decision_names_the_exact_commands_and_goes_with_its_cause(columns: int, lines: int) -> None:
    store = store_view(refusals=[REASON])
    text = "".join(row.strip() + " " for row in drawn(view_of(store, events=3), columns, lines)).replace(" \\ ", " ")
    assert f"needs a decision: {REASON}" in text
    assert "to look: astica-sync status --store /photos/cans" in text
    assert "to allow: astica-sync push --yes --store /photos/cans" in text
    store.status.refusals = []
    assert "needs a decision" not in "\n".join(drawn(view_of(store), columns, lines))


@pytest.mark.parametrize("columns", [68, 69, 76, 80, 200])
def test_a_command_that_fits_in_a_row_is_not_cut_inside_its_quoted_path(columns: int) -> None:
    """What is copied from the screen would have a line break and an indent in the path."""
    folder = "/volume one/Foto Export 2026/train"
    store = store_view(refusals=[REASON])
    store.status.store = folder
    rows = [row.rstrip() for row in drawn(view_of(store, events=3), columns, 24)]
    for command in (f"astica-sync status --store '{folder}'", f"astica-sync push --yes --store '{folder}'"):
        assert len(command) <= 68
        assert any(row.endswith(command) for row in rows)


def test_a_question_that_has_its_command_gets_no_other() -> None:
    store = store_view(refusals=["class 'can ' is similar to 'Can'; or: astica-sync push --new-class 'can '"])
    text = "\n".join(drawn(view_of(store), 200, 50))
    assert "--new-class" in text and "--yes" not in text


@pytest.mark.parametrize("columns", [60, 84, 90, 200])
def test_a_question_about_a_class_has_its_command_whole_with_the_store(columns: int) -> None:
    title = "Japanese cherry \N{CHERRY BLOSSOM}"
    store = store_view(refusals=[f"class '{title}' is similar to 'X'; or: astica-sync push --new-class '{title}'"])
    rows = [row.rstrip() for row in drawn(view_of(store), columns, 24)]
    command = f"astica-sync push --new-class '{title}' --store /photos/cans"
    if columns >= cell_len(command):
        assert any(row.endswith(command) for row in rows), rows
    else:
        at = next(place for place, row in enumerate(rows) if row.startswith("astica-sync push"))
        # A shell reads these rows as one command.
        assert " ".join(rows[at : at + 2]).replace("\\ ", "") == command
        assert rows[at].endswith(" \\") and f"'{title}'" in rows[at]


def test_a_failure_says_when_it_is_tried_again() -> None:
    store = store_view(state=WatchState.RESTING, why="the service cannot be reached", next_try_at=NOW + 32)
    text = "\n".join(drawn(view_of(store), 80, 24))
    assert "● resting" in text and "the service cannot be reached" in text
    assert re.search(r"next attempt in 32 s, at \d\d:\d\d:\d\d", text)


def test_a_time_of_the_next_attempt_that_is_past_is_not_shown() -> None:
    """The attempt is under way by then, or about to begin."""
    store = store_view(why="the store is in use", next_try_at=NOW - 10)
    text = "\n".join(drawn(view_of(store), 80, 24))
    assert "the store is in use" in text and "next attempt" not in text
    store.status.next_try_at = time.time() - 10
    assert not any("next attempt" in line for line in watch_status_lines(store.status))
    store.status.next_try_at = time.time() + 60
    assert any("next attempt" in line for line in watch_status_lines(store.status))


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_store_whose_turn_is_after_another_shows_what_that_one_waits_for(columns: int) -> None:
    first, second = store_view(), store_view(store="/photos/bottles", state=WatchState.STARTING)
    first.activity.waits(18.0, WAIT_REASON)
    text = " ".join(" ".join(drawn(view_of(first, second, events=0), columns, 30)).split())
    below = text.partition("● starting")[2]
    assert re.search(rf"its turn is after /photos/cans: waiting 18 s, until \d\d:\d\d:\d\d: {WAIT_REASON}", below), text
    assert "its turn" not in text.partition("● starting")[0]
    second.status.state = WatchState.IDLE
    assert "its turn" not in "\n".join(drawn(view_of(first, second, events=0), columns, 30))


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_a_stop_is_shown_with_what_it_waits_for(columns: int, lines: int) -> None:
    store = store_view()
    view = view_of(store)
    view.is_stopping, view.notice = True, "pausing"
    assert drawn(view, columns, lines)[-1].rstrip() == "stopping"
    store.activity.request_sent(1)
    assert drawn(view, columns, lines)[-1].rstrip() == "stopping after the 1 request under way"
    store.activity.disk_wait = lambda: "reading /nas takes long; waiting for the disk, 3 s"
    rows = drawn(view, columns, lines)
    assert rows[-1].rstrip() == "stopping, once the disk answers"
    assert "waiting for the disk, 3 s" in " ".join(" ".join(rows).split())


TEXTS = st.text(max_size=120)


@settings(max_examples=60)
@given(
    st.integers(20, 220),
    st.integers(3, 60),
    st.lists(
        st.builds(
            store_view,
            state=st.sampled_from(WatchState),
            why=TEXTS,
            queue=st.integers(0, 10**6),
            store=st.text(min_size=1, max_size=200),
            waits=st.lists(TEXTS, max_size=5),
            refusals=st.lists(TEXTS, max_size=5),
            polls=TEXTS,
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.tuples(st.just("16:12:01"), st.sampled_from(["uploaded", "refused"]), TEXTS), max_size=70),
)
def test_it_fits_every_terminal(
    columns: int, lines: int, stores: list[StoreView], log: list[tuple[str, str, str]]
) -> None:
    for store in stores:
        store.backlog = store.status.queue
    rows = drawn(WatchView(stores, log, now="16:12:44"), columns, lines)
    assert len(rows) == lines
    assert all(cell_len(row) <= columns for row in rows), rows


@pytest.fixture
def backlog(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store whose upload takes several windows of the request limit."""
    shell.environ |= {"ASTICA_LIMIT": "6", "ASTICA_LIMIT_WINDOW": "3", "ASTICA_SETTLE": "0.1"}
    store = fill(tmp_path / "store", {"Can": 12})
    assert shell("init", store, "--model", str(sandbox.add_model("Cans"))).code == 0
    return store


@pytest.mark.long
@pytest.mark.parametrize(("columns", "lines"), SIZES[:3])
def test_the_keys_pause_resume_look_and_quit(
    shell: Shell, sandbox: RunningSandbox, backlog: Path, columns: int, lines: int
) -> None:
    with Terminal(shell, "watch", backlog, columns=columns, lines=lines) as terminal:
        terminal.until(lambda seen: "next request in" in seen and "━" in seen)
        assert terminal.is_raw()
        terminal.type("p")
        terminal.until(lambda seen: "● paused" in seen)
        terminal.type("r")
        terminal.until(lambda seen: "● idle" in seen and "uploaded 12" in seen)
        sandbox.clear_log()
        terminal.type("l")
        terminal.until(lambda seen: bool(sandbox.requests_of("view")))
        terminal.type("q")
        assert terminal.end() == 130
        assert_restored(terminal)
        assert "uploaded 12, removed 0" in " ".join(terminal.picture.split())


@pytest.mark.long
def test_p_ends_the_wait_for_the_request_limit_and_nothing_more_is_sent(
    shell: Shell, sandbox: RunningSandbox, backlog: Path
) -> None:
    shell.environ["ASTICA_LIMIT_WINDOW"] = "60"
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "next request in" in seen)
        sent = len(sandbox.requests_of("upload"))
        terminal.until(lambda seen: f"{sent}/12" in seen and f"waiting {12 - sent}" in seen)
        terminal.type("p")
        began = time.monotonic()
        seen = terminal.until(lambda seen: "● paused" in seen)
        assert time.monotonic() < began + 15
        assert "next request in" not in seen
        assert 0 < sent == len(sandbox.requests_of("upload")) < 6
        assert f"waiting {12 - sent}" in seen
        assert f"waiting for upload {12 - sent}" in shell("watch", "status", "--store", backlog).out
        terminal.type("q")
        assert terminal.end() == 130


@pytest.mark.long
def test_p_ends_the_wait_before_an_observation(shell: Shell, sandbox: RunningSandbox, backlog: Path) -> None:
    shell.environ |= {"ASTICA_LIMIT": "1", "ASTICA_LIMIT_WINDOW": "3600"}
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "waiting" in seen and "until" in seen)
        sandbox.clear_log()
        terminal.type("p")
        terminal.until(lambda seen: "● paused" in seen)
        assert not sandbox.log
        terminal.type("r")
        terminal.until(lambda seen: "● paused" not in seen and "request limit" in seen)
        terminal.type("q")
        assert terminal.end() == 130


@pytest.mark.long
def test_images_whose_class_needs_a_decision_are_counted_as_waiting(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    store = fill(tmp_path / "store", {"Bottle": 3})
    assert shell("init", store, "--model", str(sandbox.add_model("Cans"))).code == 0
    assert shell("push", "--store", store).code == 0
    fill(store, {"Botttle": 2}, start=400)
    with Terminal(shell, "watch", store, columns=160) as terminal:
        shown = ("● waiting for a decision", "needs a decision", "waiting 2")
        terminal.until(lambda seen: all(one in seen for one in shown))
        assert "waiting for upload 2" in shell("watch", "status", "--store", store).out
        terminal.type("q")
        assert terminal.end() == 130


@pytest.mark.long
def test_pausing_is_shown_until_the_requests_under_way_have_ended(
    shell: Shell, sandbox: RunningSandbox, backlog: Path
) -> None:
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "● idle" in seen)
        sandbox.set_faults("upload=slow~60s")
        draw(backlog / "Can" / "slow.png", 300)
        terminal.until(lambda seen: "1 request under way" in seen)
        terminal.type("p")
        terminal.until(lambda seen: "pausing" in seen)
        seen = terminal.until(lambda seen: "pausing" not in seen or "● paused" in seen)
        assert "● paused" in seen
        terminal.type("q")
        assert terminal.end() == 130


def assert_restored(terminal: Terminal) -> None:
    """The terminal is as it was before the program began."""
    assert not terminal.is_raw()
    assert not terminal.screen.cursor.hidden
    assert terminal.written.count(b"\x1b[?1049h") == terminal.written.count(b"\x1b[?1049l")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_z_gives_the_terminal_back_and_continuing_takes_it_again(shell: Shell, backlog: Path) -> None:
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "p pause" in seen)
        # A process without a shell around it is an orphan, which the terminal's Ctrl-Z does not stop.
        os.kill(terminal.process.pid, signal.SIGTSTP)
        wait_until(lambda: terminal.read(0.01) and state_of(terminal.process.pid) == "T")
        terminal.read(0.2)
        assert_restored(terminal)
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.until(lambda seen: terminal.is_raw() and "p pause" in seen)
        terminal.type("q")
        assert terminal.end() == 130
        assert_restored(terminal)


@pytest.mark.long
def test_it_takes_the_terminal_again_where_a_shell_has_set_it_meanwhile(shell: Shell, backlog: Path) -> None:
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "p pause" in seen)
        # No program can prepare for this signal.
        os.kill(terminal.process.pid, signal.SIGSTOP)
        terminal.set_usual()
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.until(lambda seen: terminal.is_raw())
        terminal.type("q")
        assert terminal.end() == 130


@pytest.mark.long
def test_pasted_text_and_arrow_keys_are_no_commands(shell: Shell, backlog: Path) -> None:
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "p pause" in seen)
        terminal.type("quit, please")
        terminal.until(lambda seen: "uploaded 12" in seen)
        terminal.type("\x1bOq")
        # What a slow machine reads in one piece is a paste.
        terminal.read(3.0)
        terminal.type("p")
        terminal.until(lambda seen: "● paused" in seen)
        terminal.type("q")
        assert terminal.end() == 130


@pytest.mark.long
def test_a_resized_terminal_is_drawn_in_its_new_size(shell: Shell, backlog: Path) -> None:
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "p pause" in seen)
        for columns, lines in ((40, 10), (200, 50), (60, 20)):
            terminal.resize(columns, lines)
            terminal.until(
                lambda seen, columns=columns, lines=lines: (
                    len(seen.splitlines()) == lines
                    and re.search(r"\d\d:\d\d:\d\d$", seen.splitlines()[0]) is not None
                    and len(seen.splitlines()[0]) == columns
                )
            )
            assert "p pause" in terminal.rows[-1]


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_every_end_gives_the_terminal_back(shell: Shell, backlog: Path, number: signal.Signals) -> None:
    with Terminal(shell, "watch", backlog) as terminal:
        terminal.until(lambda seen: "p pause" in seen)
        os.kill(terminal.process.pid, number)
        assert terminal.end() == 130
        assert_restored(terminal)


@pytest.mark.long
def test_a_watcher_whose_terminal_is_closed_ends(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    store = fill(tmp_path / "store", {"Can": 3})
    assert shell("init", store, "--model", str(sandbox.add_model("Cans"))).code == 0
    with Terminal(shell, "watch", store) as terminal:
        terminal.until(lambda seen: "● idle" in seen)
        terminal.hang_up()
        assert terminal.process.wait(20) == 130
    assert not (store / ".astica-sync" / "lock-holder.json").exists()
    assert shell("push", "--store", store).code == 0


@pytest.mark.long
def test_a_crash_gives_the_terminal_back(shell: Shell, backlog: Path, tmp_path: Path) -> None:
    program = tmp_path / "crashing.py"
    program.write_text(
        "import astica_sync.sync.watch.run_watchers as loop\n"
        "from astica_sync.cli.main import main\n"
        "def crash(*given, **more):\n"
        "    import time; time.sleep(1); raise RuntimeError('crashed')\n"
        "loop.run_watchers = crash\n"
        "main()\n"
    )
    with Terminal(shell, "watch", backlog, program=program) as terminal:
        assert terminal.end() == 1
        assert b"\x1b[?1049h" in terminal.written
        assert_restored(terminal)
        assert "internal error: RuntimeError: crashed" in terminal.picture


def put_back(store: Path) -> None:
    (store.parent / "aside").rename(store / "Can")


def rename_to_its_class(store: Path) -> None:
    for file in (store / "Botttle").iterdir():
        file.rename(store / "Bottle" / f"moved-{file.name}")
    (store / "Botttle").rmdir()


def save_as_text(store: Path) -> None:
    (store / ".astica-ignore").write_text("drafts/\n")


CAUSES = {
    "a class that is put back": (
        lambda store: (store / "Can").rename(store.parent / "aside"),
        "needs a decision",
        put_back,
    ),
    "a title that is corrected": (
        lambda store: draw(store / "Botttle" / "new.png", 400),
        "needs a decision",
        rename_to_its_class,
    ),
    "rules that are saved again": (
        lambda store: (store / ".astica-ignore").write_bytes("drafts/\n".encode("utf-16-le")),
        "● resting",
        save_as_text,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("cause", CAUSES)
def test_what_needs_the_user_goes_once_its_cause_is_gone(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, cause: str
) -> None:
    begin, shown, end = CAUSES[cause]
    shell.environ["ASTICA_SETTLE"] = "0.1"
    store = fill(tmp_path / "store", {"Can": 14, "Bottle": 3})
    assert shell("init", store, "--model", str(sandbox.add_model("Cans"))).code == 0
    assert shell("push", "--store", store).code == 0
    with Terminal(shell, "watch", store, columns=160) as terminal:
        terminal.until(lambda seen: "● idle" in seen)
        begin(store)
        terminal.until(lambda seen: shown in seen)
        end(store)
        terminal.until(lambda seen: shown not in seen and "● idle" in seen)
        terminal.type("q")
        assert terminal.end() == 130


@pytest.mark.long
def test_a_decision_goes_once_a_push_in_another_terminal_has_made_it(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    shell.environ["ASTICA_SETTLE"] = "0.1"
    store = fill(tmp_path / "store", {"Can": 14, "Bottle": 3})
    assert shell("init", store, "--model", str(sandbox.add_model("Cans"))).code == 0
    assert shell("push", "--store", store).code == 0
    shutil.rmtree(store / "Can")
    with Terminal(shell, "watch", store) as terminal:
        seen = terminal.until(lambda seen: "to allow:" in seen)
        # A command that is longer than a row is continued with backslashes.
        command = "".join(seen.split()).replace("\\", "").partition("toallow:")[2]
        assert command.startswith(f"astica-syncpush--yes--store{store}")
        assert shell("push", "--yes", "--store", store).code == 0
        terminal.until(lambda seen: "needs a decision" not in seen and "● idle" in seen)
        terminal.type("q")
        assert terminal.end() == 130


def test_an_event_shows_the_command_that_helps() -> None:
    """It stands at the end of the sentence."""
    text = "nothing is removed: class 'Löffel' is missing or empty in the store. To allow it: astica-sync push --yes"
    view = view_of(store_view(state=WatchState.IDLE, refusals=["class 'Löffel' is missing"]), events=0)
    view.log = [("16:12:00", "uploaded", "Can/a.jpg"), ("16:12:01", "refused", text)]
    rows = drawn(view, 80, 24)
    shown = " ".join(" ".join(rows).split())
    assert text in shown and "uploaded Can/a.jpg" in shown
    assert any("astica-sync push --yes" in row for row in rows), "the command is in one row"
    assert "● waiting for a decision" in rows[1] and "idle" not in shown


def test_the_later_rows_of_an_event_use_the_whole_width() -> None:
    view = view_of(store_view(), events=0)
    view.log = [("16:12:01", "problem", "cannot upload it, as it is " + "very " * 30 + "long")]
    first, *others = [row for row in drawn(view, 80, 24) if "very" in row]
    assert len(first) > 70 and all(len(row) > 70 for row in others[:-1]) and len(others) == 2, (first, others)


@pytest.mark.parametrize(("columns", "lines"), [*SIZES, (30, 8), (12, 5)])
def test_events_of_several_rows_leave_the_view_its_size(columns: int, lines: int) -> None:
    view = view_of(store_view(), events=3)
    view.log = [*view.log, *[("16:12:01", "refused", f"nothing is removed: {REASON}. " * 4)] * 4]
    rows = drawn(view, columns, lines)
    assert len(rows) == lines and all(cell_len(row) <= columns for row in rows)
