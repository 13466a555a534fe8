"""Opens what a command works with, and turns Ctrl-C into a clean stop."""

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.key_refusals import key_refusals_recorded
from astica_sync.cli.render.live.progress import Progress, reading
from astica_sync.cli.render.messages import is_asking, is_drawn, set_named_store
from astica_sync.cli.render.status_output import Price
from astica_sync.cli.stop_signals import stop_signal_arrived, stop_signals_watched
from astica_sync.clock import SystemClock
from astica_sync.config import load_key
from astica_sync.core.plan.guard import Allowance
from astica_sync.core.watch.watch_status import WatchStatus
from astica_sync.local.layout import Layout
from astica_sync.open_session import OpenStore, open_service, open_session, settings_for
from astica_sync.open_session import find as find_silently
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from astica_sync.core.plan.plan import Plan, RemoveSample
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.remote.rate_limited_client import RateLimitedClient
    from astica_sync.sync.plan.find_status import StoreStatus
    from astica_sync.sync.session import Session

__all__ = [
    "NO_STATUS_YET",
    "OpenStore",
    "clean_stop",
    "find",
    "open_account",
    "open_service",
    "open_store",
    "path_in_journal",
    "price_of",
    "read_watch_status",
    "settings_for",
    "store_option",
]

MOST_UNMANAGED = 20
"""So many unmanaged samples are looked for in the backup: a status prints fewer."""
MOST_STATUS_BYTES = 10_000_000
DETECTING = ("detect", "evaluate")
"""Commands that send requests to the detection endpoint."""
NO_STATUS_YET = "a watcher runs, and has written no status yet: it writes one after its first comparison"


def _note_store(context: click.Context, parameter: click.Parameter, store: Path | None) -> Path | None:
    with reading(store) if store is not None else contextlib.nullcontext():
        set_named_store(store)
    return store


class _Folder(click.Path):
    """A folder, which is looked at; that is said where its disk does not answer."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        with reading(Path(value)):
            return super().convert(value, param, ctx)


FOLDER = _Folder(path_type=Path, file_okay=False, readable=False)
"""A folder that a user names. Whether it can be read is seen where it is read, with a message that has a remedy."""

store_option = click.option(
    "--store",
    "store",
    type=FOLDER,
    callback=_note_store,
    help="The store's folder; by default the current folder or one above it.",
)


def find(store: Path | None) -> Layout:
    """As ``open_session.find``; says where the disk does not answer."""
    with reading(store if store is not None else Path()):
        return find_silently(store)


@contextlib.contextmanager
def open_store(
    store: Path | None,
    listener: ProgressListener,
    *,
    offline: bool = False,
    allowance: Callable[[Allowance], Allowance] = lambda default: default,
    pause: Callable[[], None] | None = None,
) -> Iterator[OpenStore]:
    """An open store and its service. While it is open, Ctrl-C, SIGTERM and SIGHUP ask for a clean stop; a second one
    interrupts. ``pause`` is called several times a second in each wait; an error that it raises ends the wait."""
    clock = SystemClock()
    clock.check = pause
    if isinstance(listener, Progress):
        listener.reads(store if store is not None else Path())
    with (
        clean_stop(clock),
        closed_at_end(listener, clock),
        open_session(
            store, listener, clock=clock, offline=offline, allowance=allowance, doing=command_in_use()
        ) as opened,
        key_refusals_recorded(
            opened.settings, lambda: opened.session.remote.service.requests, detects=command_in_use() in DETECTING
        ),
    ):
        yield opened


@contextlib.contextmanager
def open_account() -> "Iterator[tuple[RateLimitedClient, SystemClock, float]]":
    """The service, the clock and the quarantine in seconds, for commands about the account and not about a store."""
    settings = settings_for(None)
    clock = SystemClock()
    progress = Progress()
    with (
        clean_stop(clock),
        closed_at_end(progress, clock),
        open_service(settings, load_key(os.environ), clock, progress, command_in_use()) as service,
        key_refusals_recorded(settings, lambda: service.requests),
    ):
        yield service, clock, settings.quarantine


def command_in_use() -> str:
    """The command as the user has typed it, without its arguments."""
    context = click.get_current_context(silent=True)
    return context.command_path.partition(" ")[2] if context is not None else ""


def price_of(session: "Session", status: "StoreStatus") -> Price:
    """What a push of the store costs from now on."""
    from astica_sync.sync.push.preflight_checks import requests_of

    requests = requests_of(session, status)
    return Price(requests, session.remote.service.forecast(requests))


@contextlib.contextmanager
def closed_at_end(listener: ProgressListener, clock: SystemClock) -> Iterator[None]:
    """Nothing of what the listener draws stays on the terminal, however the command ends."""
    if not isinstance(listener, Progress):
        yield
        return
    listener.stopping = lambda: clock.stopping.is_set() or stop_signal_arrived()
    try:
        yield
    finally:
        listener.close()


def path_in_journal(journal: "Journal") -> Callable[[str], str]:
    """A function that gives the path a uid had when it was last sent; an empty text for an unknown uid."""

    def path_of(uid: str) -> str:
        mark = journal.mark(uid)
        return mark.path if mark is not None else ""

    return path_of


def path_in_backup(layout: Layout, plan: "Plan", path_of: Callable[[str], str]) -> Callable[[str], str]:
    """``path_of``, and for the first samples that another store has sent, or this one before it was lost, the path that
    the backup has of the same image in that class."""
    from astica_sync.core.model import content_of, fold_title
    from astica_sync.core.plan.decision_table import OTHER_STORE
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.filesystem import FileSystem

    sent = [one for one in plan.unmanaged[:MOST_UNMANAGED] if plan.unmanaged_reasons.get(one.sample_id) == OTHER_STORE]
    backup = Backup(layout.backup, FileSystem())
    contents = {content for one in sent if backup.find(content := content_of(one.uid)) is not None}
    # Reads the whole catalog.
    named = backup.entries_of(contents) if contents else {}
    titles = {one.uid: fold_title(one.class_title) for one in sent}

    def path(uid: str) -> str:
        entries = reversed(named.get(content_of(uid), ()))
        return path_of(uid) or next((one.path for one in entries if fold_title(one.class_title) == titles.get(uid)), "")

    return path


def class_in_index(index: "Index") -> "Callable[[RemoveSample], str]":
    """A function that gives the class in which the last scan found the image of a sample that leaves its own class; an
    empty text where it found it in none, or in several."""

    # Loaded here: most commands name no class.
    from astica_sync.core.model import content_of
    from astica_sync.local.class_folders.class_title import class_title_of

    @functools.cache
    def moved_to(sample: "RemoveSample") -> str:
        titles = {class_title_of(path.partition("/")[0]) for path in index.paths_with(content_of(sample.uid))}
        titles -= {sample.class_title, None}
        return titles.pop() or "" if len(titles) == 1 else ""

    return moved_to


def image_in_index(index: "Index") -> Callable[[str], bool]:
    """A function that returns whether the last scan found a sample at a path of the store."""

    def is_image(path: str) -> bool:
        found = index.file_at(path)
        return found is not None and found[0] is not None

    return is_image


def read_watch_status(layout: Layout) -> tuple[WatchStatus | None, bool]:
    """The status that the watcher of this store wrote last, None where there is none, and whether it runs now."""
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.lock import is_watched

    alive = is_watched(layout)
    try:
        with FileSystem().open_read(layout.watch_state) as file:
            return WatchStatus.from_data(json.loads(file.read(MOST_STATUS_BYTES))), alive
    except (OSError, ValueError, RecursionError):
        return None, alive


@contextlib.contextmanager
def clean_stop(clock: SystemClock) -> Iterator[None]:
    """Turns the first SIGINT, SIGTERM or SIGHUP into a request to stop; the next one interrupts immediately, and so
    does the first one while a question waits for its answer. A hang-up that is ignored, as under nohup(1), stays so.
    """
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_closed_terminal(terminals)
        if clock.stopping.is_set() or is_asking():
            clock.stopping.set()
            raise KeyboardInterrupt
        clock.stopping.set()
        if not is_drawn():
            _write("astica-sync: stopping after the requests under way; Ctrl-C again stops immediately")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        with stop_signals_watched(numbers):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_closed_terminal(terminals: Iterable[int]) -> None:
    """Sends to the null device what would go to a terminal that was closed: writing to it fails, and the run would end
    with that error in place of its own exit code."""
    for number in terminals:
        with contextlib.suppress(OSError):
            if not os.isatty(number):
                null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(null, number)
                os.close(null)


def _write(text: str) -> None:
    """Writes rows to standard error from a signal handler, which may have interrupted the stream while it was writing.
    The first one is empty, since the cursor may be in a row."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            number = sys.stderr.fileno()
            columns = os.get_terminal_size(number).columns if os.isatty(number) else 0
            os.write(number, "\n".join(["", *_rows(text, columns), ""]).encode())


def _rows(text: str, columns: int) -> list[str]:
    """The words of a text in rows of so many columns, 0 for any number; computed without a library, for a handler."""
    rows: list[str] = []
    for word in text.split(" "):
        if not rows or (columns and len(rows[-1]) + 1 + len(word) > columns):
            rows.append(f"  {word}" if rows else word)
        else:
            rows[-1] += f" {word}"
    return rows
