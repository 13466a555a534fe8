"""One store over the life of a watcher: opens it, rests after failures, holds when the disk is gone, begins anew when
the settings change, and writes down how it stands."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from astica_sync.clock import Wake
from astica_sync.core.watch.scheduler import rest_after
from astica_sync.core.watch.watch_status import State, WatchStatus
from astica_sync.errors import (
    AsticaSyncError,
    BadKey,
    ConfigError,
    Interrupted,
    NoStore,
    NoSuchModel,
    RemoteError,
    StoreBusy,
    StoreChanged,
    kind_of,
)
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.identity import check_root
from astica_sync.local.layout import Layout
from astica_sync.local.lock import watcher_lock
from astica_sync.sync.session import Session
from astica_sync.sync.watch.change_queue import ChangeQueue
from astica_sync.sync.watch.fs_events import FsEvents
from astica_sync.sync.watch.watcher import FollowsVersion, WatchCounts, Watcher, WatchOptions

HEARTBEAT = 2.0
"""How often the settings, the order to rest and the disk are looked at when nothing happens, in seconds."""
HOLD_REST = 2.0
BUSY_REST = 2.0
JUMP = 5.0
"""A wall clock that moves by more seconds than passed: the machine slept, or its clock was set."""
WRITE_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A store that is open for watching; ``wanted`` is whether another command waits for it."""

    session: Session
    habits: WatchOptions
    wanted: Callable[[], bool] = lambda: False


Opener = Callable[[], AbstractContextManager[Opened]]
Tell = Callable[[WatchStatus, str], None]
"""Told of each change of state, with a sentence about it."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What follows from an error: the state, the seconds to rest (None: until something changes), and whether the
    store is opened anew."""

    state: State
    rest: float | None
    reopen: bool


def react(error: BaseException, failures: int) -> Reaction:
    """What to do after an error, when it is the so many-th in a row."""
    if isinstance(error, (BadKey, NoSuchModel, ConfigError)):
        return Reaction(State.HALTED, None, reopen=True)
    if isinstance(error, StoreBusy):
        return Reaction(State.WORKING, BUSY_REST, reopen=False)
    if isinstance(error, FollowsVersion):
        return Reaction(State.HELD, rest_after(failures), reopen=False)
    if isinstance(error, (StoreChanged, NoStore)):
        return Reaction(State.HELD, HOLD_REST, reopen=True)
    return Reaction(State.RESTING, rest_after(failures), reopen=not isinstance(error, RemoteError))


class Supervisor:
    """Call ``step`` whenever something rang, and after the seconds it returned; it never raises for what can pass.

    Args:
        opener: opens the store with the settings of that moment.
        fingerprint: differs once the settings or the key may have changed.
        ticks, wall: seconds of the machine's two clocks.
        disk, lock, listen: the file system, the lock of the one watcher, and the system's word about changes.
        heartbeat: how often what no event tells of is looked at, in seconds.
    """

    def __init__(
        self,
        layout: Layout,
        opener: Opener,
        *,
        wake: Wake,
        tell: Tell,
        fingerprint: Callable[[], object],
        poll: bool = False,
        ticks: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        fs: FileSystem | None = None,
        lock: Callable[[Layout], AbstractContextManager[None]] = watcher_lock,
        listen: Callable[[Layout, ChangeQueue, Callable[[], float]], FsEvents] = FsEvents,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._layout = layout
        self._fs = fs or FileSystem()
        self._lock = lock
        self._listen = listen
        self._heartbeat = heartbeat
        self._opener = opener
        self._tell = tell
        self._fingerprint = fingerprint
        self._poll = poll
        self._ticks = ticks
        self._wall = wall
        self._hints = ChangeQueue(wake.ring)
        self._events: FsEvents | None = None
        self._open = ExitStack()
        self._locked = ExitStack()
        self._watcher: Watcher | None = None
        self._standing = WatchCounts()
        self._failures = 0
        self._rest_until: float | None = 0.0
        self._beat_at = 0.0
        self._print = fingerprint()
        self._offset = wall() - ticks()
        self._written = float("-inf")
        self._dirty = True
        self._said = ""
        self._said_lost = False
        self.report = WatchStatus(str(layout.root), os.getpid(), wall(), state_since=wall())

    def lock(self) -> None:
        """Makes this process the store's one watcher.

        Raises:
            StoreBusy: another one watches it.
            StoreError: it cannot be locked.
        """
        self._locked.enter_context(self._lock(self._layout))

    def begin_anew(self, why: str) -> None:
        """Reads everything again: the settings, the key, the store, the service."""
        self._close()
        self._failures, self._rest_until = 0, 0.0
        self._say(State.STARTING, why)

    def step(self) -> float:
        """Does what is due and returns the seconds until it wants to be asked again.

        Raises:
            Interrupted: a person said stop.
        """
        now = self._ticks()
        if now >= self._beat_at:
            self._beat(now)
        if self._is_paused():
            if self.report.state is not State.PAUSED:
                self._close()
                self._say(State.PAUSED, "a person said so; astica-sync watch resume")
            return self._end(self._heartbeat)
        if self.report.state is State.PAUSED:
            self.begin_anew("resumed")
        if self._rest_until is None or now < self._rest_until:
            beat = self._heartbeat
            return self._end(beat if self._rest_until is None else min(beat, self._rest_until - now))
        try:
            watcher = self._watcher or self._start()
            wish = watcher.step()
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, a watcher goes on
            return self._end(self._fail(error))
        self._failures = 0
        self.report.next_try_at = None
        working = wish <= 0 or watcher.queue > 0
        self._say(State.WORKING if working else State.IDLE, "")
        return self._end(min(wish, self._heartbeat))

    def close(self) -> None:
        """Ends; the report says so."""
        self._close()
        self._say(State.STOPPED, "")
        self._end(0.0, last=True)
        self._locked.close()

    def _start(self) -> Watcher:
        self._say(State.STARTING, "")
        # Anew each time: a disk that was away comes back with another lock file, and goes only when none is held on it.
        self._locked.close()
        check_root(self._layout, self._fs)
        self.lock()
        # Before anything is looked at, so that no change falls between the looking and the listening.
        if self._events is None and not self._poll:
            self._events = self._listen(self._layout, self._hints, self._ticks)
            self._events.start()
        polls = "--poll was given" if self._events is None else self._events.silent
        opened = self._open.enter_context(self._opener())
        check_root(opened.session.local.layout, opened.session.local.fs)
        self._watcher = Watcher(
            opened.session,
            self._hints,
            opened.habits,
            polls=bool(polls),
            standing=self._standing,
            ticks=self._ticks,
            wanted=opened.wanted,
            wall=self._wall,
        )
        self._note_polls(polls)
        return self._watcher

    def _note_polls(self, polls: str) -> None:
        if polls != self.report.polls:
            self.report.polls = polls
            self._dirty = True
            if polls:
                self._tell(self.report, f"changes are looked for, not heard: {polls}")

    def _beat(self, now: float) -> None:
        """Looks at what no event tells of."""
        self._beat_at = now + self._heartbeat
        found = self._fingerprint()
        if found != self._print:
            self._print = found
            self.begin_anew("the settings changed")
        offset = self._wall() - now
        if abs(offset - self._offset) > JUMP:
            self._offset = offset
            self.begin_anew("the machine slept, or its clock was set")
        if self._watcher is not None:
            try:
                check_root(self._layout, self._fs)
            except AsticaSyncError as error:
                self._fail(error)
            else:
                self._check_events(self._watcher)

    def _check_events(self, watcher: Watcher) -> None:
        if self._events is not None and self._events.has_lost and not self._said_lost:
            self._said_lost = True
            self._tell(self.report, "changes came faster than the system keeps them; everything is looked at instead")
        if self._events is None or self.report.polls:
            return
        if not (watcher.scanned or self._events.suspects):
            return
        silent = self._events.check(watcher.folders())
        if silent:
            watcher.poll()
            self._note_polls(silent)

    def _fail(self, error: BaseException) -> float:
        """Takes up an error; the seconds to rest."""
        self._failures += 1
        reaction = react(error, self._failures)
        text = str(error) or type(error).__name__
        if not isinstance(error, (AsticaSyncError, OSError)):
            text = f"a fault of the program: {type(error).__name__}: {text}"
        hint = getattr(error, "hint", "")
        if not isinstance(error, StoreBusy):
            self.report.remember(text, kind_of(error))
            if self._watcher is not None:
                self._watcher.want_round()
        if reaction.reopen:
            self._close()
        now = self._ticks()
        rest = None if reaction.rest is None else max(reaction.rest, self._heartbeat)
        self._rest_until = None if rest is None else now + rest
        self.report.next_try_at = None if rest is None else self._wall() + rest
        self._say(reaction.state, f"{text}. {hint}".rstrip(". ") + "." if hint else text)
        return self._heartbeat

    def _is_paused(self) -> bool:
        try:
            self._fs.lstat(self._layout.watch_paused)
        except OSError:
            return False
        return True

    def _say(self, state: State, why: str) -> None:
        report = self.report
        if (state, why) != (report.state, report.why):
            if state is not report.state:
                report.state_since = self._wall()
            report.state, report.why = state, why
            self._dirty = True
        # Working and idle take turns with every file; that is no news, unless there was trouble before.
        if why and why != self._said:
            self._tell(report, why)
            self._said = why
        elif state is State.STOPPED or (self._said and state is State.IDLE):
            self._tell(report, "" if state is State.STOPPED else "all is well again")
            self._said = ""

    def _end(self, seconds: float, *, last: bool = False) -> float:
        """Brings the report up to date, and writes it down when it says something new."""
        report, standing = self.report, self._standing
        before = (report.uploaded, report.removed, report.queue, report.agreed_at)
        if not last:
            report.queue = self._watcher.queue if self._watcher else 0
        report.waits, report.refusals = standing.waits, standing.refusals
        report.problems, report.failed = standing.problems, standing.failed
        report.uploaded, report.removed, report.eta = standing.uploaded, standing.removed, round(standing.eta, 1)
        report.failures = dict(standing.failures)
        report.scan_seconds = round(standing.scan_seconds, 3)
        if standing.agreed is not None:
            report.agreed_at = round(self._wall() - (self._ticks() - standing.agreed), 1)
        self._dirty |= before[:3] != (report.uploaded, report.removed, report.queue) or (before[3] or 0) + 1 < (
            report.agreed_at or 0
        )
        now = self._ticks()
        if self._dirty and (last or now >= self._written + WRITE_EVERY or report.state is not State.WORKING):
            self._dirty, self._written = False, now
            self._write()
        return seconds

    def _write(self) -> None:
        """A disk that is full or gone must not stop the watcher for the sake of its report."""
        with contextlib.suppress(OSError):
            # A disk that is not mounted must not get the folder.
            self._fs.lstat(self._layout.state)
            text = json.dumps(self.report.as_data(), ensure_ascii=True)
            self._fs.write_synced(self._layout.watch_state, [text.encode(), b"\n"])

    def _close(self) -> None:
        """Lets go of every file of the store, so that its disk can be unmounted, and stops listening."""
        self._watcher = None
        events, self._events = self._events, None
        if events is not None:
            events.stop()
            # Who was heard to begin writing may end it while nobody listens.
            self._hints.forget_words()
        with contextlib.suppress(AsticaSyncError, OSError):
            self._open.close()
        self._open = ExitStack()
