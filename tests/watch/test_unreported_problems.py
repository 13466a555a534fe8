"""The watcher reports each file that cannot be uploaded, once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from astica_sync.cli.render.watch_output import WatchListener, WatchOutput
from astica_sync.core.model import Problem
from astica_sync.core.watch.debounce import OPEN_TIMEOUT, Debouncer
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sync.session import LocalSide
from astica_sync.sync.watch.unreported_problems import UnreportedProblems
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import Start, wait_until

LAYERS = b"8BPS" + bytes(64)


class Reports:
    """The problems of a folder, and what is reported of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[list[str]] = []
        self.open: set[str] = set()
        local = cast(LocalSide, SimpleNamespace(layout=Layout(folder), fs=FileSystem()))
        self.problems = UnreportedProblems(local, set(), lambda new: self.seen.append([one.path for one in new]), 5.0)

    def scan(self, *names: str, reason: str = "HEIC", began: float = 5.0) -> None:
        """A scan that begins so many seconds after the last change of these files, and a report 5 seconds later."""
        for name in names:
            (self.folder / name).touch()
        last = max(((self.folder / name).stat().st_ctime for name in names), default=0.0)
        self.problems.take_scan([Problem(name, reason) for name in names], last + began)
        self.report(last + began + 5.0)

    def report(self, now: float) -> None:
        self.problems.report(now, self.open.__contains__)


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    return Reports(tmp_path)


def test_a_problem_is_reported_once(reports: Reports) -> None:
    reports.scan("a")
    reports.scan("a", "b")
    reports.scan("a", "b")
    assert reports.seen == [["a"], ["b"]]


def test_another_reason_and_a_problem_that_came_back_are_reported_again(reports: Reports) -> None:
    reports.scan("a")
    reports.scan("a", reason="is empty")
    reports.scan()
    reports.scan("a", reason="is empty")
    assert reports.seen == [["a"], ["a"], ["a"]]


def test_a_file_that_is_being_written_is_not_reported(reports: Reports) -> None:
    reports.open.add("a")
    reports.scan("a")
    assert reports.seen == []
    reports.open.clear()
    reports.report((reports.folder / "a").stat().st_ctime + 4.0)
    assert reports.seen == [], "it has changed just now"
    reports.report((reports.folder / "a").stat().st_ctime + 10.0)
    assert reports.seen == [["a"]]


def test_a_file_that_was_changed_after_the_scan_is_not_reported(reports: Reports) -> None:
    reports.scan("a", began=-1.0)
    reports.report((reports.folder / "a").stat().st_ctime + 100.0)
    assert reports.seen == []


def test_a_file_that_is_gone_is_not_reported(reports: Reports) -> None:
    reports.problems.take_scan([Problem("gone", "HEIC")], 100.0)
    reports.report(200.0)
    assert reports.seen == []


def test_a_file_whose_folder_cannot_be_entered_is_reported(reports: Reports) -> None:
    (reports.folder / "file").touch()
    reports.problems.take_scan([Problem("file/below", "HEIC")], 100.0)
    reports.report(200.0)
    assert reports.seen == [["file/below"]]


def test_a_file_whose_close_was_not_reported_is_open_no_longer_than_ten_minutes() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("a", 10.0)
    assert debouncer.is_open("a", 11.0)
    assert not debouncer.is_open("a", 10.0 + OPEN_TIMEOUT)
    debouncer.closed("a", 12.0)
    assert not debouncer.is_open("a", 13.0) and not debouncer.is_open("b", 13.0)


def test_many_problems_of_a_class_are_one_event() -> None:
    events: list[tuple[str, str, dict[str, Any]]] = []

    class Output(WatchOutput):
        def event(self, store: str, name: str, text: str, **data: Any) -> None:
            events.append((name, text, data))

    listener = WatchListener(Output(), "/store")
    listener.problems([Problem(f"Can/{number}.heic", "HEIC") for number in range(14)] + [Problem("Bottle/e", "empty")])
    assert events == [
        (
            "problem",
            "cannot upload Can/0.heic, Can/1.heic and 12 more of Can: HEIC",
            {"reason": "HEIC", "files": 14, "class": "Can", "path": "Can/0.heic"},
        ),
        (
            "problem",
            "cannot upload Bottle/e: empty",
            {"reason": "empty", "files": 1, "class": "Bottle", "path": "Bottle/e"},
        ),
    ]
    events.clear()
    listener.problems([Problem(f"Can/{number}.heic", f"reason {number}") for number in range(25)])
    assert len(events) == 11
    assert events[-1][1] == "cannot upload 15 more files; for all: astica-sync status --json"


@pytest.mark.long
def test_a_watcher_reports_the_files_that_it_finds_and_each_new_one(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    (store / "Can" / "old.psd").write_bytes(LAYERS)
    watching = watch(store)
    wait_until(lambda: watching.reported("problem", "cannot upload Can/old.psd: Photoshop image"))
    (store / "Can" / "neu.psd").write_bytes(LAYERS)
    wait_until(lambda: watching.reported("problem", "cannot upload Can/neu.psd: Photoshop image"))
    (store / "Bottle" / "empty.png").touch()
    wait_until(lambda: watching.reported("problem", "cannot upload Bottle/empty.png: "))
    assert shell("watch", "pause", "--store", store).code == 0
    wait_until(lambda: watching.reported("paused"))
    assert shell("watch", "resume", "--store", store).code == 0
    draw(store / "Can" / "new.png", 77)
    wait_until(lambda: len(sandbox.samples(model_id)) == 6)
    (store / "Can" / "last.psd").write_bytes(LAYERS)
    wait_until(lambda: watching.reported("problem", "Can/last.psd"))
    found = [event["path"] for event in watching.events if event["event"] == "problem"]
    assert sorted(found) == ["Bottle/empty.png", "Can/last.psd", "Can/neu.psd", "Can/old.psd"]
