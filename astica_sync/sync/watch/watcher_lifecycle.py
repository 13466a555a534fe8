"""One store's watcher over its whole life: opens the store, retries after failures, holds while the disk is missing,
restarts when the settings change, and writes its status to a file."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from astica_sync.clock import Wake
from astica_sync.core.watch.scheduler import retry_delay
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.errors import (
    AsticaSyncError,
    BadKey,
    ConfigError,
    Interrupted,
    NoStore,
    NoSuchModel,
    QuotaExceeded,
    RateLimited,
    RemoteError,
    StoreBusy,
    StoreChanged,
    kind_of,
)
from astica_sync.local.filesystem import FileSystem, Kind
from astica_sync.local.filesystem import kind_of as kind_of_file
from astica_sync.local.layout import Layout
from astica_sync.local.lock import watcher_lock
from astica_sync.local.store_sentinel import check_root
from astica_sync.sync.watch.change_queue import ChangeQueue
from astica_sync.sync.watch.fs_events import FsEvents
from astica_sync.sync.watch.store_watcher import FollowsVersion, PauseRequested, WatchCounts, WatchedStore, Watcher

HEARTBEAT = 2.0
"""How often the settings, the order to pause and the disk are checked when nothing happens, in seconds."""
HOLD_DELAY = 2.0
QUOTA_DELAY = 3600.0
"""Between two requests to an account whose quota is used up, or where the service asks for a long pause."""
BUSY_DELAY = 2.0
CLOCK_JUMP = 5.0
"""A difference between the two clocks that changes by more seconds than this: the machine was suspended, or its clock
was set."""
WRITE_EVERY = 2.0

Notify = Callable[[WatchStatus, str], None]
"""Called at each change of state that a user should know of, with one sentence."""


@dataclass(frozen=True, slots=True)
class StoreOpener:
    """``open`` opens the store with the settings it has now; ``fingerprint`` is another value once the settings or the
    key may have changed."""

    open: Callable[[], AbstractContextManager[WatchedStore]]
    fingerprint: Callable[[], object]


@dataclass(frozen=True, slots=True)
class WatchSystem:
    """What the watcher of a store uses of the machine.

    ``ticks`` and ``wall`` are the monotonic and the wall clock in seconds, ``lock`` is the lock of the one watcher,
    ``events`` makes the source of file system events, ``heartbeat`` is how often to check what causes no event.
    """

    ticks: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    fs: FileSystem | None = None
    lock: Callable[[Layout], AbstractContextManager[None]] = watcher_lock
    events: Callable[[Layout, ChangeQueue, Callable[[], float]], FsEvents] = FsEvents
    heartbeat: float = field(default_factory=lambda: HEARTBEAT)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What follows from an error: the state, the seconds until the next attempt (None: none until something changes),
    and whether the store is closed and opened again."""

    state: WatchState
    delay: float | None
    reopen: bool


def reaction_to(error: BaseException, failures: int) -> Reaction:
    """What to do after an error; ``failures`` is how many came in a row."""
    if isinstance(error, (BadKey, NoSuchModel, ConfigError)):
        return Reaction(WatchState.HALTED, None, reopen=True)
    if isinstance(error, StoreBusy):
        return Reaction(WatchState.WORKING, BUSY_DELAY, reopen=False)
    if isinstance(error, FollowsVersion):
        return Reaction(WatchState.HELD, retry_delay(failures), reopen=False)
    if isinstance(error, (StoreChanged, NoStore)):
        return Reaction(WatchState.HELD, HOLD_DELAY, reopen=True)
    if isinstance(error, QuotaExceeded):
        return Reaction(WatchState.RESTING, QUOTA_DELAY, reopen=False)
    if isinstance(error, RateLimited):
        asked = min(error.retry_after or 0.0, QUOTA_DELAY)
        return Reaction(WatchState.RESTING, max(retry_delay(failures), asked), reopen=False)
    return Reaction(WatchState.RESTING, retry_delay(failures), reopen=not isinstance(error, RemoteError))


class WatcherLifecycle:
    """Keeps one store's watcher alive.

    Call ``step`` when ``wake`` rang, and after the seconds it returned. It raises no error that may pass.
    """

    def __init__(
        self,
        layout: Layout,
        opener: StoreOpener,
        *,
        wake: Wake,
        notify: Notify,
        poll: bool = False,
        system: WatchSystem | None = None,
    ) -> None:
        """``poll``: scan the store at an interval instead of receiving events."""
        system = system or WatchSystem()
        self._layout = layout
        self._opener = opener
        self._notify = notify
        self._poll = poll
        self._system = system
        self._ticks, self._wall = system.ticks, system.wall
        self._fs = system.fs or FileSystem(layout.root)
        self._changes = ChangeQueue(wake.ring)
        self._events: FsEvents | None = None
        self._open = ExitStack()
        self._locked = ExitStack()
        self._watcher: Watcher | None = None
        self._counts = WatchCounts()
        self._failures = 0
        self._retry_at: float | None = 0.0
        self._check_at = 0.0
        self._fingerprint = opener.fingerprint()
        self._clock_offset = self._wall() - self._ticks()
        self._written = float("-inf")
        self._unwritten = True
        self._last_notice = ""
        self._is_missing = False
        """Whether the last error was that the store is not there."""
        self._overflow_notified = False
        self._mounts: frozenset[str] | None = None
        now = self._wall()
        self.status: WatchStatus = WatchStatus(str(layout.root), os.getpid(), now, state_since=now)

    @property
    def heartbeat(self) -> float:
        """The longest pause between two steps, in seconds."""
        return self._system.heartbeat

    def lock(self) -> None:
        """Makes this process the store's one watcher.

        Raises:
            StoreBusy: another process watches it.
            StoreError: it cannot be locked.
        """
        self._locked.enter_context(self._system.lock(self._layout))

    def restart(self, reason: str) -> None:
        """Closes the store; the next step reads the settings, the key, the store and the service from scratch."""
        self._close()
        self._failures, self._retry_at = 0, 0.0
        self._set_state(WatchState.STARTING, reason)

    def look_now(self) -> None:
        """Observes the service with the next step, also where it waits for the next attempt; not where the settings or
        the user have to change first."""
        if self._retry_at is not None:
            self._retry_at = 0.0
        if self._watcher is not None:
            self._watcher.request_round()

    def step(self) -> float:
        """Does what is due and returns the seconds until it must be called again.

        Raises:
            Interrupted: the user stopped it.
        """
        now = self._ticks()
        heartbeat = self.heartbeat
        if now >= self._check_at:
            self._check_at = now + heartbeat
            self._check_start(now)
        if self._is_paused():
            if self.status.state is not WatchState.PAUSED:
                self._close()
                self._set_state(WatchState.PAUSED, "paused by the user; to resume: astica-sync watch resume")
            self._update_status()
            return heartbeat
        if self.status.state is WatchState.PAUSED:
            self.restart("resumed by the user")
        if self._retry_at is None or now < self._retry_at:
            self._update_status()
            return heartbeat if self._retry_at is None else min(heartbeat, self._retry_at - now)
        try:
            watcher = self._watcher or self._start()
            if self.status.state is WatchState.STARTING:
                # The first step may wait for the request limit, so what is known by now is written before it.
                self._set_state(WatchState.WORKING, "")
                self._update_status(at_once=True)
            pause = watcher.step()
        except PauseRequested:
            # The next step pauses; or starts again, where the user has resumed meanwhile.
            self._close()
            return 0.0
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - a watcher goes on after any error
            self._fail(error)
            self._update_status()
            return heartbeat
        self._failures = 0
        self.status.next_try_at = None
        working = pause <= 0 or watcher.queued > 0
        self._set_state(WatchState.WORKING if working else WatchState.IDLE, "")
        self._update_status()
        return min(pause, heartbeat)

    def close(self) -> None:
        """Stops watching, and writes the last status."""
        self._close()
        self._set_state(WatchState.STOPPED, "")
        self._update_status(at_once=True)
        self._locked.close()

    def _start(self) -> Watcher:
        self._set_state(WatchState.STARTING, "")
        # Locked again each time: a disk that was unmounted comes back with another lock file, and can be unmounted only
        # while no lock is held on it.
        self._locked.close()
        check_root(self._layout, self._fs)
        self.lock()
        # Before the first scan, so that no change is missed between the scan and the first event.
        if self._events is None and not self._poll:
            self._events = self._system.events(self._layout, self._changes, self._ticks)
            self._events.start()
        if self._mounts is None:
            self._mounts = self._fs.mounts_below(self._layout.root)
        polling_reason = "--poll was given" if self._events is None else self._events.polling_reason
        store = self._open.enter_context(self._opener.open())
        check_root(store.session.local.layout, store.session.local.fs)
        self._watcher = Watcher(
            store,
            self._changes,
            self._counts,
            polls=bool(polling_reason),
            ticks=self._ticks,
            wall=self._wall,
            on_planned=self._update_status,
        )
        self._report_polling(polling_reason)
        return self._watcher

    def _report_polling(self, polling_reason: str) -> None:
        if polling_reason != self.status.polls:
            self.status.polls = polling_reason
            self._unwritten = True
            if polling_reason:
                self._notify(self.status, f"polling for changes: {polling_reason}")

    def _check_start(self, now: float) -> None:
        """Checks what causes no event: the settings, the clocks, the store's folder, the event source."""
        fingerprint = self._opener.fingerprint()
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self.restart(self._name_change())
        # The disk may have taken its time for the settings, which is no jump of a clock.
        offset = self._wall() - self._ticks()
        if abs(offset - self._clock_offset) > CLOCK_JUMP:
            self._clock_offset = offset
            self.restart("the machine was suspended, or its clock was set")
        if self._watcher is not None:
            try:
                check_root(self._layout, self._fs)
            except AsticaSyncError as error:
                self._fail(error)
            else:
                self._check_mounts()
                self._check_events(self._watcher)

    def _name_change(self) -> str:
        """What may have changed the settings, for a notice; "" where the next step says it."""
        was_missing, self._is_missing = self._is_missing, False
        try:
            check_root(self._layout, self._fs)
        except AsticaSyncError:
            return ""
        return "the folder of the store is there again" if was_missing else "the settings changed"

    def _check_mounts(self) -> None:
        """Says where a disk below the store was unmounted or mounted; what is missing there is not removed."""
        before, self._mounts = self._mounts or frozenset(), self._fs.mounts_below(self._layout.root)
        for place in sorted(before - self._mounts):
            self._notify(self.status, f"{place} was unmounted: nothing of it is removed; mount it again")
        for place in sorted(self._mounts - before):
            self._notify(self.status, f"a disk was mounted at {place}")

    def _check_events(self, watcher: Watcher) -> None:
        if self._events is not None and self._events.overflowed and not self._overflow_notified:
            self._overflow_notified = True
            self._notify(self.status, "the system's event queue was full; the whole store is scanned instead")
        if self._events is None or self.status.polls:
            return
        if not (watcher.scanned or self._events.unwatched_suspected):
            return
        polling_reason = self._events.check(watcher.folders())
        if polling_reason:
            watcher.start_polling()
            self._report_polling(polling_reason)

    def _fail(self, error: BaseException) -> None:
        """Records an error and plans the next attempt."""
        self._failures += 1
        reaction = reaction_to(error, self._failures)
        text = str(error) or type(error).__name__
        if not isinstance(error, (AsticaSyncError, OSError)):
            text = f"internal error: {type(error).__name__}: {text}"
        self._is_missing = isinstance(error, (StoreChanged, NoStore))
        hint = self._hint_of(error)
        if not isinstance(error, StoreBusy):
            self.status.add_error(text, kind_of(error))
            if self._watcher is not None:
                self._watcher.request_round()
        if reaction.reopen:
            self._close(error)
        delay = None if reaction.delay is None else max(reaction.delay, self.heartbeat)
        self._retry_at = None if delay is None else self._ticks() + delay
        self.status.next_try_at = None if delay is None else self._wall() + delay
        self._set_state(reaction.state, f"{text}. {_as_sentence(hint)}".rstrip(". ") + "." if hint else text)

    def _hint_of(self, error: BaseException) -> str:
        """What helps. Where the disk is missing, a new store in its place would not."""
        hint: str = getattr(error, "hint", "")
        if isinstance(error, (StoreChanged, NoStore)):
            try:
                self._fs.lstat(self._layout.state)
            except FileNotFoundError:
                return "Mount the disk, or put the folder back: the watcher waits for it"
            except OSError:
                return hint
        return hint

    def _is_paused(self) -> bool:
        try:
            self._fs.lstat(self._layout.watch_paused)
        except OSError:
            return False
        return True

    def _set_state(self, state: WatchState, reason: str) -> None:
        status = self.status
        if (state, reason) != (status.state, status.why):
            if state is not status.state:
                status.state_since = self._wall()
            status.state, status.why = state, reason
            self._unwritten = True
        # Working and idle alternate with every file; that is worth a notice only after an error.
        if reason and reason != self._last_notice:
            self._notify(status, reason)
            self._last_notice = reason
        elif state is WatchState.STOPPED or (self._last_notice and state is WatchState.IDLE):
            self._notify(status, "" if state is WatchState.STOPPED else "running normally again")
            self._last_notice = ""

    def _update_status(self, *, at_once: bool = False) -> None:
        """Brings the status up to date, and writes it to its file when something in it changed; ``at_once``, however
        short ago it was written."""
        status, counts = self.status, self._counts
        before = (status.uploaded, status.removed, status.queue, status.agreed_at)
        if self._watcher is not None:
            status.queue, status.undecided = self._watcher.not_sent, self._watcher.undecided
        status.waits, status.refusals = counts.waits, counts.refusals
        status.problems, status.failed, status.held_out = counts.problems, counts.failed, counts.held_out
        status.uploaded, status.removed, status.eta = counts.uploaded, counts.removed, round(counts.eta, 1)
        status.failures = dict(counts.failures)
        status.scan_seconds = round(counts.scan_seconds, 3)
        if counts.in_sync_at is not None:
            status.agreed_at = round(self._wall() - (self._ticks() - counts.in_sync_at), 1)
        self._unwritten |= before[:3] != (status.uploaded, status.removed, status.queue) or (before[3] or 0) + 1 < (
            status.agreed_at or 0
        )
        now = self._ticks()
        if self._unwritten and (
            at_once or now >= self._written + WRITE_EVERY or status.state is not WatchState.WORKING
        ):
            self._unwritten, self._written = False, now
            self._write_status()

    def _write_status(self) -> None:
        """A full or missing disk must not stop the watcher because of its status file."""
        with contextlib.suppress(OSError):
            # Where the disk is not mounted, the folder must not be made; a link would lead to another one's status.
            if kind_of_file(self._fs.lstat(self._layout.state)) is not Kind.FOLDER:
                return
            text = json.dumps(self.status.as_data(), ensure_ascii=True)
            self._fs.write_synced(self._layout.watch_state, [text.encode(), b"\n"])

    def _close(self, error: BaseException | None = None) -> None:
        """Closes every file of the store, so that its disk can be unmounted, and stops receiving events. What has
        opened the store gets the ``error`` that ended its use."""
        if self._watcher is not None:
            # It stays unsent while the store is closed.
            self.status.queue, self.status.undecided = self._watcher.not_sent, self._watcher.undecided
        self._watcher = None
        events, self._events = self._events, None
        if events is not None:
            events.stop()
            # A file that was open may be closed now without an event.
            self._changes.drop_file_events()
        with contextlib.suppress(AsticaSyncError, OSError):
            self._open.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        self._open = ExitStack()


def _as_sentence(hint: str) -> str:
    """The hint after a full stop. A command at its beginning stays as it is."""
    return hint if hint.startswith("astica-sync ") else hint[:1].upper() + hint[1:]
