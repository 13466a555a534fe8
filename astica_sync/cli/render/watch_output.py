"""How a watcher speaks: a live view on a terminal, one line for each event elsewhere, or one JSON object a line."""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.render.text import duration, json_name, number, safe, what_lets_go
from astica_sync.clock import local_time
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.watch.watch_status import State, WatchStatus
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from rich.live import Live

DRAW_EVERY = 0.25
LINES_KEPT = 8
TROUBLES_KEPT = 4
STILL = 2.0
"""Nothing happened for so many seconds: somebody wonders why."""


class WatchOutput:
    """One line for each event, on standard output."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        """Something happened in a store: a name for programs, a text for people, and what it is about."""
        _print(f"{_now()}  {name:<9} {safe(text)}")

    def expects(self, seconds: float) -> None:
        """What was begun takes so many seconds more, by the request budget."""

    def turn(self, reports: Sequence[WatchStatus]) -> None:
        """One turn of all stores has ended."""

    def close(self) -> None:
        """Nothing more is said."""


class JsonWatchOutput(WatchOutput):
    """One JSON object a line."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        line = {"at": round(time.time(), 3), "event": name, "store": json_name(store), "text": json_name(text), **data}
        _print(json.dumps(line, ensure_ascii=False))


class LiveWatchOutput(WatchOutput):
    """A view that stays in its place: the stores, what goes up, and the last troubles."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._reports: Sequence[WatchStatus] = ()
        self._done: deque[str] = deque(maxlen=LINES_KEPT)
        self._troubles: deque[str] = deque(maxlen=TROUBLES_KEPT)
        self._times: deque[float] = deque()
        self._lock = threading.Lock()
        self._drawn = self._heard = self._next = 0.0

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        line = f"{_now()}  {name:<9} {safe(text)}"
        with self._lock:
            if name in ("uploaded", "removed"):
                self._heard = time.monotonic()
                self._times.append(self._heard)
                self._done.append(line)
            elif name != "watching" and text != name:
                self._troubles.append(line)
        self._show()

    def expects(self, seconds: float) -> None:
        self._next = time.monotonic() + seconds

    def turn(self, reports: Sequence[WatchStatus]) -> None:
        from rich.live import Live

        self._reports = reports
        if self._live is None:
            # It is drawn every second in any case: a turn may last for as long as the service's limit.
            self._live = Live(get_renderable=self._draw, refresh_per_second=1, transient=True)
            self._live.start()
        self._show()

    def close(self) -> None:
        """Takes the view away; what was done stays on the screen."""
        if self._live is not None:
            self._live.stop()
        for report in self._reports:
            _print("\n".join(report_lines(report)))

    def _show(self) -> None:
        """Draws anew; while much happens, a few times a second."""
        now = time.monotonic()
        working = any(report.state is State.WORKING for report in self._reports)
        if self._live is not None and not (working and now < self._drawn + DRAW_EVERY):
            self._drawn = now
            self._live.refresh()

    def _draw(self) -> Any:
        from rich.text import Text

        now = time.monotonic()
        lines = [line for report in self._reports for line in report_lines(report)]
        with self._lock:
            while self._times and self._times[0] <= now - 60:
                self._times.popleft()
            if self._done:
                rate = f"{len(self._times):,} sent in the last minute"
                waits = self._next - now
                if now > self._heard + STILL and waits > STILL:
                    rate += f"; the service's limit is used up, it goes on in {duration(waits)}"
                lines += ["", rate, *self._done]
            if self._troubles:
                lines += ["", *self._troubles]
        # A line that is broken in two makes the view jump.
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


class Desktop(WatchOutput):
    """Another voice, and a word on the desktop, where there is one, when a person is needed."""

    def __init__(self, voice: WatchOutput) -> None:
        self._voice = voice

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        self._voice.event(store, name, text, **data)
        if name in ("halted", "refused"):
            _notify(f"{safe(store)}: {safe(text)}")

    def expects(self, seconds: float) -> None:
        self._voice.expects(seconds)

    def turn(self, reports: Sequence[WatchStatus]) -> None:
        self._voice.turn(reports)

    def close(self) -> None:
        self._voice.close()


def _notify(text: str) -> None:
    program = shutil.which("notify-send")
    if program is not None and sys.platform == "linux":
        with contextlib.suppress(OSError):
            subprocess.Popen(
                [program, "--app-name=astica-sync", "astica-sync needs you", text],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


def open_voice(*, as_json: bool) -> WatchOutput:
    """The voice that fits where standard output goes."""
    if as_json:
        return JsonWatchOutput()
    return LiveWatchOutput() if sys.stdout.isatty() else WatchOutput()


class StoreListener(ProgressListener):
    """Passes on what one store's rounds tell."""

    def __init__(self, voice: WatchOutput, store: str) -> None:
        self._voice = voice
        self._store = store
        self._refused: set[str] = set()

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        for refusal in refusals:
            if refusal.reason not in self._refused:
                text = f"nothing is {refusal.kept_back}: {refusal.reason}. {what_lets_go([refusal])}"
                self._voice.event(self._store, "refused", text, reason=refusal.reason)
        self._refused = {refusal.reason for refusal in refusals}

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        self._voice.event(self._store, "uploaded", path, **_sample(class_title, path))
        self._voice.expects(eta)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        text = path if path else f"class {class_title}, {number(samples, 'sample')}"
        self._voice.event(self._store, "removed", text, samples=samples, **_sample(class_title, path))

    def failed(self, class_title: str, path: str, reason: str) -> None:
        self._voice.event(self._store, "failed", f"{path}: {reason}", reason=reason, **_sample(class_title, path))

    def waits(self, seconds: float, why: str) -> None:
        if seconds >= 2:
            self._voice.event(self._store, "waiting", f"{duration(seconds)}: {why}", seconds=round(seconds, 1))

    def asks(self, text: str) -> None:
        self._voice.event(self._store, "refused", text)

    def note(self, text: str) -> None:
        self._voice.event(self._store, "note", text)


def report_lines(report: WatchStatus, *, alive: bool = True) -> list[str]:
    """A watcher's report for a person."""
    store = safe(report.store)
    if not alive:
        return [f"{store}", "  no watcher runs here"]
    why = f": {safe(report.why)}" if report.why else ""
    lines = [f"{store}", f"  process {report.pid} since {local_time(report.since, seconds=True)}, {report.state}{why}"]
    if report.next_try_at is not None:
        lines.append(f"  tries again {local_time(report.next_try_at, seconds=True)}")
    agreed = local_time(report.agreed_at, seconds=True) if report.agreed_at else "not yet"
    lines.append(f"  service and store agreed: {agreed}")
    soon = f" ({duration(report.eta)})" if report.queue and report.eta >= 1 else ""
    done = f"  uploaded {report.uploaded:,}, removed {report.removed:,}, waiting to go up {report.queue:,}{soon}"
    lines.append(f"{done}, failed {report.failed:,}, no samples {report.problems:,}")
    if report.polls:
        lines.append(f"  looks for changes: {safe(report.polls)}")
    lines += [f"  waits: {safe(text)}" for text in report.waits[:5]]
    lines += [f"  needs you: {safe(text)}" for text in report.refusals]
    lines += [f"  error: {safe(text)}" for text in report.errors[-3:]]
    return lines


def _print(line: str) -> None:
    """Whoever read the output may be gone, and a full disk may hold it; the watcher goes on without a word."""
    with contextlib.suppress(OSError):
        click.echo(line)


def _sample(class_title: str, path: str) -> dict[str, str]:
    return {"class": json_name(class_title), "path": json_name(path)}


def _now() -> str:
    return local_time(time.time(), seconds=True)
