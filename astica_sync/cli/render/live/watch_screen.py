"""The live view of ``watch`` on the whole terminal, and its keys."""

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from astica_sync.cli.render.live.can_draw import is_in_foreground
from astica_sync.cli.render.live.disk_probe import DiskProbe
from astica_sync.cli.render.live.in_encoding import InEncoding
from astica_sync.cli.render.live.keys import Keyboard
from astica_sync.cli.render.live.watch_picture import StoreView, WatchView, watch_picture
from astica_sync.cli.render.messages import name_store, name_store_elsewhere
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.watch_output import KeyAction, WatchOutput, print_event
from astica_sync.cli.render.watch_status_output import watch_status_lines
from astica_sync.clock import local_time
from astica_sync.core.watch.watch_status import WatchStatus

if TYPE_CHECKING:
    from rich.live import Live

DRAW_EVERY = 0.25
DRAW_IDLE_EVERY = 1.0
"""While nothing is done or waited for: the time of day alone changes then."""
MOST_EVENTS = 200
NOTICE_SECONDS = 3.0
HOME = "\x1b[H"
ERASE_ROW = "\x1b[2K"


class WatchScreen(WatchOutput):
    """Draws several times a second while it is open, so that every countdown moves."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._view = WatchView(has_keys=sys.stdin is not None and sys.stdin.isatty())
        self._stores: dict[str, StoreView] = {}
        self._activities: dict[str, Activity] = {}
        self._sent: dict[str, int] = {}
        self._backlog_from: dict[str, int] = {}
        self._not_sent: dict[str, tuple[int, int]] = {}
        """By store, how many were not sent at its last update, and how many uploads there had been then."""
        self._log: deque[tuple[str, str, str]] = deque(maxlen=MOST_EVENTS)
        self._actions: Mapping[str, KeyAction] = {}
        self._notice_until = 0.0
        self._lasting = ""
        """The answer to a key that is shown as long as what it began lasts."""
        self._stop_requested: Callable[[], bool] = lambda: False
        self._probes: Mapping[str, DiskProbe] = {}
        self._live: Live | None = None
        self._open = contextlib.ExitStack()
        self._ended = threading.Event()

    def event(self, store: str, name: str, text: str, **data: Any) -> None:
        with self._lock:
            if name == "uploaded":
                self._sent[store] = self._sent.get(store, 0) + 1
                # A file that was sent while it was still copied had failed, and has not any more.
                left = [one for one in self._log if one[1] != "failed" or not one[2].startswith(f"{text}: ")]
                self._log = deque(left, maxlen=MOST_EVENTS)
            if name != "watching" and text != name:
                # Without a look at the disk, which may not answer: the lock is held.
                self._log.append((local_time(time.time(), seconds=True)[11:], name, name_store(text, store)))

    def attach(self, store: str, activity: Activity) -> None:
        with self._lock:
            self._activities[store] = activity
            self._ask_disk(store, activity)
            if store in self._stores:
                self._stores[store].activity = activity

    def keys(self, actions: Mapping[str, KeyAction]) -> None:
        self._actions = actions

    def disks(self, probes: Mapping[str, DiskProbe], ended: threading.Event) -> None:
        self._probes = probes

    def stops(self, requested: Callable[[], bool]) -> None:
        self._stop_requested = requested

    def show(self, statuses: Sequence[WatchStatus]) -> None:
        with self._lock:
            for status in statuses:
                self._update(status)
        if self._live is None:
            self._start()

    def planned(self, store: str) -> None:
        with self._lock:
            if store in self._stores:
                self._update(self._stores[store].status)

    def close(self) -> None:
        """Gives the terminal back; the last status stays on the screen."""
        self._ended.set()
        self._open.close()
        self._stop_drawing()
        for store in self._stores.values():
            lines = watch_status_lines(store.status)
            print_event(*(name_store_elsewhere(line, store.status.store) for line in lines))

    def draw(self) -> None:
        """Draws the view as it is now."""
        with self._lock:
            if self._live is None or not is_in_foreground(sys.stdout.fileno()):
                return
            view = self._view
            view.stores, view.log = list(self._stores.values()), list(self._log)
            view.now = local_time(time.time(), seconds=True)[11:]
            view.is_stopping = self._stop_requested()
            if time.monotonic() > self._notice_until:
                view.notice = self._lasting
            for name, store in self._stores.items():
                store.uploaded = self._sent.get(name, 0)
                not_sent, uploaded_then = self._not_sent[name]
                store.waiting = max(0, not_sent - (store.uploaded - uploaded_then))
                store.in_backlog = min(store.uploaded - self._backlog_from.get(name, 0), store.backlog)
            console = self._live.console
            with console.capture() as capture:
                console.print(InEncoding(watch_picture(view, console)))
            rows = capture.get().removesuffix("\n").split("\n")[: console.height]
            # No row is filled up with blanks: the library counts other columns for joined signs than the terminal may.
            sys.stdout.write(HOME + "\r\n".join(f"{ERASE_ROW}{row}" for row in rows))
            sys.stdout.flush()

    def _update(self, status: WatchStatus) -> None:
        name = status.store
        store = self._stores.get(name)
        if store is None:
            store = self._stores[name] = StoreView(status, self._activities.get(name) or Activity())
            self._ask_disk(name, store.activity)
        store.status = status
        self._not_sent[name] = status.queue, self._sent.get(name, 0)
        # What waits for a decision of the user is no part of what is under way.
        to_send = max(0, status.queue - status.undecided)
        if not to_send:
            store.backlog, self._backlog_from[name] = 0, self._sent.get(name, 0)
            return
        done = self._sent.get(name, 0) - self._backlog_from.setdefault(name, 0)
        store.backlog = done + to_send
        store.eta_at = store.activity.ticks() + status.eta

    def _ask_disk(self, store: str, activity: Activity) -> None:
        if store in self._probes:
            activity.disk_wait = self._probes[store].text

    def _start(self) -> None:
        self._start_drawing()
        if self._view.has_keys:
            actions = {key: self._with_notice(action) for key, action in self._actions.items()}
            self._open.enter_context(Keyboard(actions, self._stop_drawing, self._start_drawing))
        threading.Thread(target=self._draw_until_closed, daemon=True).start()
        threading.Thread(target=self._look_until_closed, daemon=True).start()

    def look(self) -> None:
        """Finds what keys have begun and what lasts."""
        lasting = next((key.answer for key in self._actions.values() if key.lasts and key.lasts()), "")
        with self._lock:
            self._lasting = lasting

    def _look_until_closed(self) -> None:
        """In a thread of its own: it reads the disk, and the one that draws must not wait for that."""
        while not self._ended.wait(DRAW_EVERY):
            with contextlib.suppress(OSError):
                self.look()

    def _draw_until_closed(self) -> None:
        drawn_at = 0.0
        while not self._ended.wait(DRAW_EVERY):
            now = time.monotonic()
            if not self._is_working() and now < drawn_at + DRAW_IDLE_EVERY:
                continue
            drawn_at = now
            try:
                self.draw()
            except (OSError, ValueError):
                # The terminal has gone.
                return

    def _is_working(self) -> bool:
        with self._lock:
            return (
                bool(self._view.notice or self._lasting)
                or self._stop_requested()
                or any(store.activity.is_working() for store in self._stores.values())
            )

    def _with_notice(self, action: KeyAction) -> Callable[[], None]:
        def act() -> None:
            seconds = NOTICE_SECONDS if action.lasts is None else 0.0
            try:
                text = action.act() or action.answer
            except OSError as error:
                text, seconds = f"cannot do that: {error.strerror}", NOTICE_SECONDS
            with self._lock:
                self._view.notice, self._notice_until = text, time.monotonic() + seconds
                if action.lasts is not None and not seconds:
                    self._lasting = text

        return act

    def _start_drawing(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with self._lock:
            if self._ended.is_set():
                return
            self._live = Live(
                console=Console(file=sys.stdout, highlight=False),
                auto_refresh=False,
                screen=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self.draw()

    def _stop_drawing(self) -> None:
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                with contextlib.suppress(OSError, ValueError):
                    live.stop()
