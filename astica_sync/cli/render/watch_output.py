"""The output of ``watch`` where it draws no live view: one line for each event, or one JSON object for each."""

import contextlib
import html
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from astica_sync.api.states.problem_advice import advise
from astica_sync.cli.render.live.disk_probe import DiskProbe, SlowDiskLines
from astica_sync.cli.render.messages import name_store_elsewhere, print_lines
from astica_sync.cli.render.problem_lines import class_folder_of, name_group
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.text import LINES, duration, how_to_allow, json_line, json_name, number, safe
from astica_sync.clock import local_time
from astica_sync.core.model import Problem
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.watch.watch_status import WatchStatus
from astica_sync.local.child_process import environment_without_key
from astica_sync.local.class_folders.class_title import class_title_of

if TYPE_CHECKING:
    from astica_sync.sync.plan.held_out_images import ReturnedImage

SHORTEST_WAIT = 2.0
"""Shorter waits are no events, in seconds."""
LONG_PAUSE = 10.0
"""The same of the pauses that the request limit makes in a backlog, of which there is one in each window."""
LONGEST_NOTE = 400


@dataclass(frozen=True, slots=True)
class KeyAction:
    """What a key does, and the answer to it, where ``act`` returns no other. The answer is shown for some seconds, or
    as long as ``lasts``."""

    act: Callable[[], str | None]
    answer: str
    lasts: Callable[[], bool] | None = None


class WatchOutput:
    """One line for each event, on standard output."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        """Something happened in a store: the event's name for programs, a text for users, and data for JSON."""
        print_event(f"{_now()}  {name:<9} {name_store_elsewhere(safe(text), store)}")

    def attach(self, store: str, activity: Activity) -> None:
        """What a store is doing from now on is in ``activity``."""

    def keys(self, actions: Mapping[str, "KeyAction"]) -> None:
        """What the user can do with keys, and the answer to each; before the first ``show``."""

    def disks(self, probes: Mapping[str, DiskProbe], ended: threading.Event) -> None:
        """By store, what notices that its disk does not answer, until ``ended`` is set; before the first ``show``."""
        SlowDiskLines(probes, self._slow_disk).start(ended)

    def stops(self, requested: Callable[[], bool]) -> None:
        """``requested`` tells whether the user has asked the watcher to stop; before the first ``show``."""

    def show(self, statuses: Sequence[WatchStatus]) -> None:
        """Called after each turn of all stores."""

    def planned(self, store: str) -> None:
        """Called before each batch, once the store's status has the number that is not sent yet."""

    def close(self) -> None:
        """Called when the watcher stops."""

    def _slow_disk(self, store: str, text: str, seconds: float) -> None:
        self.event(store, "waiting", text, seconds=round(seconds, 1))


class JsonWatchOutput(WatchOutput):
    """One JSON object on each line."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        text = json_name(name_store_elsewhere(text, store))
        line = {"at": round(time.time(), 3), "event": name, "store": json_name(store), "text": text, **data}
        print_event(json_line(line), whole=True)


class QuietWatchOutput(WatchOutput):
    """Only the events that need the user, for ``--quiet``."""

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        if name in ("failed", "halted", "problem", "refused"):
            super().event(store, name, text, **data)


class DesktopOutput(WatchOutput):
    """Another output, and a desktop notification when the watcher needs a decision or is halted."""

    def __init__(self, output: WatchOutput) -> None:
        self._output = output

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        self._output.event(store, name, text, **data)
        if name in ("halted", "refused"):
            _notify(f"{safe(store)}: {name_store_elsewhere(safe(text), store)}")

    def attach(self, store: str, activity: Activity) -> None:
        self._output.attach(store, activity)

    def keys(self, actions: Mapping[str, "KeyAction"]) -> None:
        self._output.keys(actions)

    def disks(self, probes: Mapping[str, DiskProbe], ended: threading.Event) -> None:
        self._output.disks(probes, ended)

    def stops(self, requested: Callable[[], bool]) -> None:
        self._output.stops(requested)

    def show(self, statuses: Sequence[WatchStatus]) -> None:
        self._output.show(statuses)

    def planned(self, store: str) -> None:
        self._output.planned(store)

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


class WatchListener(Activity):
    """Turns the progress of one store's rounds into events."""

    def __init__(self, output: WatchOutput, store: str) -> None:
        super().__init__()
        output.attach(store, self)
        self._said_until = 0.0
        self._output = output
        self._store = store
        self._refused: set[str] = set()

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        super().planned(plan, refusals, eta)
        self._output.planned(self._store)
        for refusal in refusals:
            if refusal.reason not in self._refused:
                text = f"nothing is {refusal.kept_back}: {refusal.reason}. {how_to_allow([refusal])}"
                self._output.event(self._store, "refused", text, reason=refusal.reason)
        self._refused = {refusal.reason for refusal in refusals}

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        super().uploaded(class_title, path, eta)
        self._output.event(self._store, "uploaded", path, **_sample(class_title, path))

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        super().removed(class_title, path, samples, eta)
        text = path if path else f"class {class_title}, {number(samples, 'sample')}"
        self._output.event(self._store, "removed", text, samples=samples, **_sample(class_title, path))

    def failed(self, class_title: str, path: str, reason: str) -> None:
        super().failed(class_title, path, reason)
        self._output.event(self._store, "failed", f"{path}: {reason}", reason=reason, **_sample(class_title, path))

    def waits(self, seconds: float, why: str) -> None:
        super().waits(seconds, why)
        if seconds >= SHORTEST_WAIT:
            self._output.event(self._store, "waiting", f"{duration(seconds)}: {why}", seconds=round(seconds, 1))

    def next_request(self, seconds: float, why: str) -> None:
        super().next_request(seconds, why)
        if seconds >= LONG_PAUSE and self.ticks() >= self._said_until:
            # Once for each stretch, whatever is reported in it.
            self._said_until = self.ticks() + seconds
            self._output.event(self._store, "waiting", f"{duration(seconds)}: {why}", seconds=round(seconds, 1))

    def problems(self, problems: Sequence[Problem]) -> None:
        """Files that cannot be uploaded, none of them reported before."""
        by_reason: dict[tuple[str, str], list[str]] = {}
        for one in problems:
            by_reason.setdefault((class_folder_of(one), advise(one)), []).append(one.path)
        groups = [(folder, reason, paths) for (folder, reason), paths in by_reason.items()]
        for folder, reason, paths in groups[:LINES]:
            data = {"reason": reason, "files": len(paths), **_sample(class_title_of(folder) or "", paths[0])}
            self._output.event(self._store, "problem", f"cannot upload {name_group(folder, paths)}: {reason}", **data)
        if left := sum(len(paths) for _, _, paths in groups[LINES:]):
            text = f"cannot upload {left:,} more files; for all: astica-sync status --json"
            self._output.event(self._store, "problem", text, files=left)

    def held_out(self, images: "Sequence[ReturnedImage]") -> None:
        """Images of the store that are held out as well, none of them reported before."""
        for one in images[:LINES]:
            text = f"{one.path} is held out as well ({one.place}): remove it here, or a version is scored too high"
            data = _sample(class_title_of(one.path.partition("/")[0]) or "", one.path)
            self._output.event(self._store, "problem", text, place=json_name(one.place), **data)
        if left := len(images[LINES:]):
            text = f"{left:,} more images are held out as well; for all: astica-sync status --json"
            self._output.event(self._store, "problem", text, files=left)

    def asks(self, text: str) -> None:
        self._output.event(self._store, "refused", text)

    def note(self, text: str) -> None:
        self._output.event(self._store, "note", text)


def print_event(*lines: str, whole: bool = False) -> None:
    """Prints lines, wrapped on a terminal unless they are to stay ``whole``. The reader of the output may have gone
    away, or its disk may be full; the watcher continues all the same."""
    with contextlib.suppress(OSError):
        if whole:
            click.echo("\n".join(lines))
        else:
            print_lines(lines)


def _sample(class_title: str, path: str) -> dict[str, str]:
    return {"class": json_name(class_title), "path": json_name(path)}


def _now() -> str:
    return local_time(time.time(), seconds=True)
