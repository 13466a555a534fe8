"""The output of ``watch``: a live view on a terminal, else one line for each event, or one JSON object for each."""

import contextlib
import html
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.render.text import duration, how_to_allow, json_line, json_name, number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.clock import local_time
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.local.child_process import environment_without_key
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from rich.live import Live

DRAW_EVERY = 0.25
MAX_DONE = 8
MAX_TROUBLES = 4
SILENCE = 2.0
"""After so many seconds without an upload the view shows what it waits for."""
LONGEST_NOTE = 400


class WatchOutput:
    """One line for each event, on standard output."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        """Something happened in a store: the event's name for programs, a text for users, and data for JSON."""
        _print(f"{_now()}  {name:<9} {safe(text)}")

    def expect(self, seconds: float) -> None:
        """The uploads under way take so many more seconds, by the request budget."""

    def show(self, statuses: Sequence[WatchStatus]) -> None:
        """Called after each turn of all stores."""

    def close(self) -> None:
        """Called when the watcher stops."""


class JsonWatchOutput(WatchOutput):
    """One JSON object on each line."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        line = {"at": round(time.time(), 3), "event": name, "store": json_name(store), "text": json_name(text), **data}
        _print(json_line(line))


class QuietWatchOutput(WatchOutput):
    """Only the events that need the user, for ``--quiet``."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        if name in ("failed", "halted", "refused"):
            super().event(store, name, text, **data)


class LiveWatchOutput(WatchOutput):
    """A view that is drawn in place: the stores, the last uploads and removals, and the last errors."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._statuses: Sequence[WatchStatus] = ()
        self._done: deque[str] = deque(maxlen=MAX_DONE)
        self._troubles: deque[str] = deque(maxlen=MAX_TROUBLES)
        self._times: deque[float] = deque()
        self._lock = threading.Lock()
        self._drawn = self._last_done = self._next_at = 0.0

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        line = f"{_now()}  {name:<9} {safe(text)}"
        with self._lock:
            if name in ("uploaded", "removed"):
                self._last_done = time.monotonic()
                self._times.append(self._last_done)
                self._done.append(line)
            elif name != "watching" and text != name:
                self._troubles.append(line)
        self._refresh()

    def expect(self, seconds: float) -> None:
        self._next_at = time.monotonic() + seconds

    def show(self, statuses: Sequence[WatchStatus]) -> None:
        from rich.live import Live

        self._statuses = statuses
        if self._live is None:
            # It is also drawn every second by itself: a turn may last as long as the window of the request limit.
            self._live = Live(get_renderable=self._draw, refresh_per_second=1, transient=True)
            self._live.start()
        self._refresh()

    def close(self) -> None:
        """Removes the view; the last status stays on the screen."""
        if self._live is not None:
            self._live.stop()
        for status in self._statuses:
            _print("\n".join(watch_status_lines(status)))

    def _refresh(self) -> None:
        """Draws the view again, at most a few times a second."""
        now = time.monotonic()
        working = any(status.state is WatchState.WORKING for status in self._statuses)
        if self._live is not None and not (working and now < self._drawn + DRAW_EVERY):
            self._drawn = now
            self._live.refresh()

    def _draw(self) -> Any:
        from rich.text import Text

        now = time.monotonic()
        lines = [line for status in self._statuses for line in watch_status_lines(status)]
        with self._lock:
            while self._times and self._times[0] <= now - 60:
                self._times.popleft()
            if self._done:
                rate = f"{len(self._times):,} sent in the last minute"
                waits = self._next_at - now
                if now > self._last_done + SILENCE and waits > SILENCE:
                    rate += f"; the request limit is used up, next upload in {duration(waits)}"
                lines += ["", rate, *self._done]
            if self._troubles:
                lines += ["", *self._troubles]
        # A wrapped line would make the view jump.
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


class DesktopOutput(WatchOutput):
    """Another output, and a desktop notification when the watcher needs a decision or is halted."""

    def __init__(self, output: WatchOutput) -> None:
        self._output = output

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        self._output.event(store, name, text, **data)
        if name in ("halted", "refused"):
            _notify(f"{safe(store)}: {safe(text)}")

    def expect(self, seconds: float) -> None:
        self._output.expect(seconds)

    def show(self, statuses: Sequence[WatchStatus]) -> None:
        self._output.show(statuses)

    def close(self) -> None:
        self._output.close()


def _notify(text: str) -> None:
    """Shows a message on the desktop. The body may be read as markup, and a name in it may begin like an option."""
    program = shutil.which("notify-send")
    if program is not None and sys.platform == "linux":
        with contextlib.suppress(OSError):
            subprocess.Popen(
                [
                    program,
                    "--app-name=astica-sync",
                    "--",
                    "astica-sync: action needed",
                    html.escape(text[:LONGEST_NOTE], quote=False),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment_without_key(),
            )


def open_output(*, as_json: bool, notify: bool) -> WatchOutput:
    """The output that fits the options and the kind of standard output; with ``notify`` also on the desktop."""
    if as_json:
        kind: type[WatchOutput] = JsonWatchOutput
    elif verbosity() is Verbosity.QUIET:
        kind = QuietWatchOutput
    else:
        kind = LiveWatchOutput if sys.stdout.isatty() else WatchOutput
    return DesktopOutput(kind()) if notify else kind()


class WatchListener(ProgressListener):
    """Turns the progress of one store's rounds into events."""

    def __init__(self, output: WatchOutput, store: str) -> None:
        self._output = output
        self._store = store
        self._refused: set[str] = set()

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        for refusal in refusals:
            if refusal.reason not in self._refused:
                text = f"nothing is {refusal.kept_back}: {refusal.reason}. {how_to_allow([refusal])}"
                self._output.event(self._store, "refused", text, reason=refusal.reason)
        self._refused = {refusal.reason for refusal in refusals}

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        self._output.event(self._store, "uploaded", path, **_sample(class_title, path))
        self._output.expect(eta)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        text = path if path else f"class {class_title}, {number(samples, 'sample')}"
        self._output.event(self._store, "removed", text, samples=samples, **_sample(class_title, path))

    def failed(self, class_title: str, path: str, reason: str) -> None:
        self._output.event(self._store, "failed", f"{path}: {reason}", reason=reason, **_sample(class_title, path))

    def waits(self, seconds: float, why: str) -> None:
        if seconds >= 2:
            self._output.event(self._store, "waiting", f"{duration(seconds)}: {why}", seconds=round(seconds, 1))

    def asks(self, text: str) -> None:
        self._output.event(self._store, "refused", text)

    def note(self, text: str) -> None:
        self._output.event(self._store, "note", text)


def watch_status_lines(status: WatchStatus, *, alive: bool = True) -> list[str]:
    """A watcher's status as text."""
    store = safe(status.store)
    if not alive:
        return [f"{store}", "  no watcher is running"]
    why = f": {safe(status.why)}" if status.why else ""
    lines = [f"{store}", f"  process {status.pid} since {local_time(status.since, seconds=True)}, {status.state}{why}"]
    if status.next_try_at is not None:
        lines.append(f"  next attempt: {local_time(status.next_try_at, seconds=True)}")
    in_sync_at = local_time(status.agreed_at, seconds=True) if status.agreed_at else "not yet"
    lines.append(f"  last in sync: {in_sync_at}")
    eta = f" ({duration(status.eta)})" if status.queue and status.eta >= 1 else ""
    counts = f"  uploaded {status.uploaded:,}, removed {status.removed:,}, waiting for upload {status.queue:,}{eta}"
    lines.append(f"{counts}, failed {status.failed:,}, problem files {status.problems:,}")
    if status.polls:
        lines.append(f"  polling: {safe(status.polls)}")
    lines += [f"  waiting: {safe(text)}" for text in status.waits[:5]]
    lines += [f"  needs a decision: {safe(text)}" for text in status.refusals]
    lines += [f"  error: {safe(text)}" for text in status.errors[-3:]]
    return lines


def _print(line: str) -> None:
    """The reader of the output may have gone away, or its disk may be full; the watcher continues all the same."""
    with contextlib.suppress(OSError):
        click.echo(line)


def _sample(class_title: str, path: str) -> dict[str, str]:
    return {"class": json_name(class_title), "path": json_name(path)}


def _now() -> str:
    return local_time(time.time(), seconds=True)
