"""Progress as lines of text for a callback."""

import threading
from pathlib import Path

import pytest

from astica_sync import Store
from astica_sync.api import ProgressLines
from astica_sync.core.plan.plan import Plan, Upload
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill


class _Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _plan(uploads: int) -> Plan:
    return Plan(uploads=tuple(Upload(f"{number:041}", "Can", f"Can/{number}.png", 1) for number in range(uploads)))


def test_a_push_is_reported_in_lines(store: Path, shell: Shell) -> None:
    lines: list[str] = []
    (store / "Can" / "bad.png").write_bytes((store / "Can" / "000.png").read_bytes()[:100])
    with Store(store, progress=lines.append) as opened:
        pushed = opened.push()
    assert pushed.uploaded == 5
    assert lines[0] == "Scanning the store"
    assert any(line.startswith("to upload: 5, to remove: 0") for line in lines) or any(
        line.startswith("to upload: 6, to remove: 0") for line in lines
    )
    assert any(line.startswith("5 of ") for line in lines)


def test_counts_come_a_few_seconds_apart_and_the_last_one_at_once() -> None:
    lines: list[str] = []
    ticks = _Ticks()
    progress = ProgressLines(lines.append, ticks=ticks)
    progress.planned(_plan(1_000), [], 700.0)
    for _ in range(999):
        progress.uploaded("Can", "Can/x.png", 100.0)
        ticks.now += 0.01
    progress.removed("Can", "", 1, 0.0)
    assert lines[0] == "to upload: 1,000, to remove: 0, about 12 min"
    assert lines[-1] == "1,000 of 1,000 done"
    assert 5 <= len(lines) <= 8


def test_a_short_step_is_one_line() -> None:
    lines: list[str] = []
    ticks = _Ticks()
    progress = ProgressLines(lines.append, ticks=ticks)
    progress.phase("Scanning the store")
    progress.scanned(4, 0)
    progress.phase("Scanning the store")
    assert lines == ["Scanning the store"]
    ticks.now = 3.0
    progress.scanned(5_000, 10)
    assert lines[1:] == ["5,000 files compared, 10 read"]


def test_many_threads_that_wait_for_the_same_make_one_line() -> None:
    lines: list[str] = []
    progress = ProgressLines(lines.append, ticks=_Ticks())
    threads = [threading.Thread(target=progress.waits, args=(40.0, "for the request limit")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.waits(1.0, "too short to say")
    assert lines == ["waiting 40 s: for the request limit"]


def test_a_wait_for_the_next_request_is_reported_after_what_was_done() -> None:
    lines: list[str] = []
    progress = ProgressLines(lines.append, ticks=_Ticks())
    progress.phase("Comparing the store with the service")
    progress.planned(_plan(45), [], 180.0)
    for _ in range(10):
        progress.uploaded("Can", "Can/x.png", 150.0)
    for _ in range(3):
        progress.next_request(59.0, "the request limit of this key")
    assert lines[2:] == ["10 of 45 done, about 2 min left", "waiting 59 s: the request limit of this key"]


def test_a_name_in_a_line_cannot_move_the_cursor() -> None:
    lines: list[str] = []
    progress = ProgressLines(lines.append)
    progress.failed("Can", "Can/\x1b[2J\u202e.png", "no image")
    progress.failed("Can", "", "refused")
    progress.note("a note")
    progress.asks("a question")
    progress.scanned(0, 0)
    progress.scanned(1_200, 40)
    progress.scanned(1_300, 40)
    assert lines[0] == "Can/\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}.png: no image"
    assert lines[1:] == ["Can: refused", "a note", "a question", "1,200 files compared, 40 read"]


def test_a_callback_that_fails_stops_no_push(store: Path, shell: Shell, sandbox: RunningSandbox) -> None:
    fill(store, {"More": 20})
    calls = []

    def fail(line: str) -> None:
        calls.append(line)
        raise BrokenPipeError(line)

    with Store(store, progress=fail) as opened, pytest.warns(RuntimeWarning, match="not reported any more"):
        assert opened.push().in_sync
    assert len(calls) == 1
