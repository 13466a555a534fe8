"""A disk that does not answer is named within two seconds, by a thread that is not stuck at it (promise 16)."""

import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from astica_sync.cli.open_store import find
from astica_sync.cli.render.live import disk_probe
from astica_sync.cli.render.live import progress as progress_module
from astica_sync.cli.render.live.disk_probe import DiskProbe, SlowDiskLines
from astica_sync.cli.render.live.progress import Progress, reading
from astica_sync.cli.render.live.progress_picture import state_text
from astica_sync.cli.render.live.watch_screen import WatchScreen
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.verbosity import Verbosity
from astica_sync.cli.render.watch_output import JsonWatchOutput, KeyAction, QuietWatchOutput
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.errors import StoreError
from tests.harness.shell import Shell, fill
from tests.watch.test_watch_screen import SIZES, drawn, store_view, view_of


class HungDisk:
    """Answers once it is let go; ``now`` is the time by its clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self._asked, self.answers = threading.Event(), threading.Event()
        self.probe = DiskProbe(folder, ask=self._ask, ticks=lambda: self.now)
        self.thread = threading.Thread(target=self.probe.ask, daemon=True)
        self.thread.start()
        assert self._asked.wait(20)

    def _ask(self, folder: str) -> None:
        self._asked.set()
        self.answers.wait(20)

    def answer(self) -> None:
        self.answers.set()
        self.thread.join(20)


def test_it_is_said_for_as_long_as_the_disk_does_not_answer(tmp_path: Path) -> None:
    disk = HungDisk(tmp_path)
    assert disk.probe.text() == ""
    disk.now += 1.5
    assert disk.probe.text() == f"reading {tmp_path} takes long; waiting for the disk, 2 s"
    disk.now += 70
    assert disk.probe.text().endswith("72 s")
    disk.answer()
    assert disk.probe.text() == "" and disk.probe.seconds() == 0.0


def test_an_error_is_an_answer(tmp_path: Path) -> None:
    probe = DiskProbe(tmp_path / "none")
    probe.ask()
    assert probe.seconds() == 0.0


def test_the_picture_of_a_step_says_it_in_place_of_the_step() -> None:
    activity = Activity()
    activity.phase("checking the images")
    activity.disk_wait = lambda: "reading /nas takes long; waiting for the disk, 3 s"
    assert state_text(activity).startswith("reading /nas takes long")
    activity.phase_ended()
    assert activity.is_busy() and activity.is_working()


def test_a_stop_is_said_while_the_disk_does_not_answer() -> None:
    activity = Activity()
    activity.disk_wait = lambda: "reading /nas takes long; waiting for the disk, 3 s"
    activity.stopping = lambda: True
    assert state_text(activity) == (
        "stopping, once the disk answers: reading /nas takes long; waiting for the disk, 3 s"
    )


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by the clock of a progress whose disk does not answer and that only the test lets draw."""
    monkeypatch.setattr(progress_module, "DRAW_EVERY", 3600.0)
    return [100.0]


def slow_progress(time: list[float]) -> Progress:
    shown = Progress()
    shown.ticks = lambda: time[0]
    shown.disk_wait = lambda: f"reading /nas takes long; waiting for the disk, {time[0] - 100:.0f} s"
    return shown


def test_off_a_terminal_there_is_a_line_at_once_and_one_every_few_seconds(
    slow: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = slow_progress(slow)
    for slow[0] in (102.0, 103.0, 106.9, 107.0, 112.5):
        shown.tick()
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[2] for line in lines] == ["2 s", "7 s", "12 s"], lines
    assert disk_probe.PROBE_EVERY + disk_probe.SLOW_AFTER < 2.0


def test_a_quiet_command_says_nothing(
    slow: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "verbosity", lambda: Verbosity.QUIET)
    shown = slow_progress(slow)
    shown.reads(Path("/nas"))
    shown.tick()
    assert capsys.readouterr() == ("", "")


def test_a_command_says_it_while_it_looks_for_its_store(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is opened, and while the name of the store is read."""
    seen: list[str] = []
    monkeypatch.setattr(Progress, "reads", lambda self, folder: seen.append(str(folder)))
    assert shell("status", "--store", tmp_path, "--offline").code == 1
    assert seen == [str(tmp_path)] * 3, "by its name, by whether it is here, and where it is opened"
    with pytest.raises(Exception, match="no store"):
        find(tmp_path)
    assert seen == [str(tmp_path)] * 4


def test_the_log_and_the_page_say_it_while_they_read_the_store(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Path] = []
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "reads", lambda self, folder: said.append(folder))

        def stuck(*arguments: object) -> NoReturn:
            raise StoreError(f"read while {said[-1]} was watched", "as the test wants it")

        store = fill(tmp_path / "photos", {"Can": 1})
        assert shell("init", store, "--create", "Cans", "--purpose", "test").code == 0
        for command, read in (("log", "local.db.journal.Journal.history"), ("page", "page.server.find")):
            patch.setattr(f"astica_sync.{read}", stuck)
            said.clear()
            ran = shell(command, "--store", store)
            assert f"read while {store} was watched" in ran.err, ran.err
            # Twice by its name, in the log where it is looked for, and where it is read.
            assert len(said) == {"log": 4, "page": 3}[command], (command, said)


def test_reading_ends_its_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    with reading(tmp_path):
        assert threading.active_count() == before + 2
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(2)
    assert threading.active_count() <= before


def test_a_watcher_says_it_less_often_the_longer_it_lasts(tmp_path: Path) -> None:
    disk = HungDisk(tmp_path)
    said: list[float] = []
    lines = SlowDiskLines({"/nas": disk.probe}, lambda name, text, seconds: said.append(seconds))
    for _ in range(120):
        disk.now += 0.5
        lines.tick()
    assert said == [1.0, 6.0, 12.0, 24.0, 48.0]
    disk.answer()
    lines.tick()
    assert len(said) == 5


def test_the_lines_of_a_watcher_stay_json_and_a_quiet_one_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = HungDisk(tmp_path)
    disk.now += 3.0
    for output in (JsonWatchOutput(), QuietWatchOutput()):
        SlowDiskLines({str(tmp_path): disk.probe}, output._slow_disk).tick()
    line = json.loads(capsys.readouterr().out)
    assert line["event"] == "waiting" and line["seconds"] == 3.0 and "takes long" in line["text"]
    disk.answer()


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_the_view_of_a_watcher_is_not_idle_while_the_disk_does_not_answer(columns: int, lines: int) -> None:
    store = store_view(state=WatchState.IDLE)
    store.activity.disk_wait = lambda: "reading /nas takes long; waiting for the disk, 3 s"
    rows = drawn(view_of(store), columns, lines)
    assert "● waiting" in rows[1] and "idle" not in " ".join(rows)
    assert "takes long; waiting for the disk, 3 s" in " ".join(" ".join(rows).split())


def test_the_view_is_drawn_while_a_look_at_the_disk_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a key's order still lasts is read from the disk."""
    disk = HungDisk(tmp_path)
    answers = threading.Event()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr("astica_sync.cli.render.live.watch_screen.is_in_foreground", lambda number: True)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    screen = WatchScreen()
    screen.keys({"p": KeyAction(lambda: None, "pausing", lambda: answers.wait(20))})
    screen.disks({"/nas": disk.probe}, threading.Event())
    screen.show([WatchStatus("/nas", os.getpid(), 0.0, WatchState.IDLE)])
    try:
        stuck = threading.Thread(target=screen.look, daemon=True)
        stuck.start()
        disk.now += 4.0
        drawing = threading.Thread(target=screen.draw, daemon=True)
        drawing.start()
        drawing.join(10)
        assert not drawing.is_alive() and stuck.is_alive()
        assert "● waiting" in sys.stdout.getvalue()  # type: ignore[attr-defined]
    finally:
        answers.set()
        disk.answer()
        screen.close()
