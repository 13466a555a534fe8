"""File system events, where the system reports them, and the reason for polling where it does not.

An event only names the folder to scan. What events miss (a full queue, the limit of inotify watches, a file system
without events, or one that other machines write to) is found by scans at an interval.
"""

import contextlib
import ctypes
import errno
import logging
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from astica_sync.local.filesystem import file_system_type, write_new
from astica_sync.local.layout import ASKS, IGNORE_FILE, SETTINGS_FILE, STATE_DIR, Layout
from astica_sync.local.scan.ignore import is_hidden
from astica_sync.sync.watch.change_queue import ChangeQueue

PROBE_TIMEOUT = 2.0
PROBE = "watch-probe"
# Other machines may write there, and the kernel of this one reports no events for it.
SHARED_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "fuse",
        "vboxsf",
        "prl_fs",
        "virtiofs",
        "drvfs",
        "ncpfs",
    }
)
LIMIT_HINT = "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances to receive events"
_LIMITS = (errno.ENOSPC, errno.EMFILE)
_IN_ATTRIB = 4
_LIMIT = "the system's limit of inotify watches is reached"
# Other systems do not report that a file was closed.
REPORTS_CLOSE = sys.platform == "linux"


class FsEvents:
    """The file system events of one store. ``polling_reason`` is why the store must be polled as well, "" where all
    changes are reported."""

    def __init__(self, layout: Layout, changes: ChangeQueue, now: Callable[[], float]) -> None:
        self._layout = layout
        self._changes = changes
        self._now = now
        self._observer: Any = None
        self._probe_received = threading.Event()
        self.polling_reason: str = "not started"
        self.unwatched_suspected: bool = False
        """Whether the last check found folders without a watch. A folder may just be too new, so two checks in a row
        must find some."""
        self.overflowed: bool = False
        """Whether the system's event queue ever overflowed."""

    def start(self) -> str:
        """Starts the observer and checks that events arrive; returns ``polling_reason``."""
        from watchdog.observers import Observer

        # The library warns on standard error when a folder was made while its watch was being set up; nothing is lost.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        _report_overflows_to(self)
        kind = file_system_type(self._layout.root)
        try:
            self._observer = Observer(timeout=60)
            self._observer.schedule(_Handler(self), str(self._layout.root), recursive=True, event_filter=_event_types())
            self._observer.start()
        except (OSError, RuntimeError) as error:
            self.stop()
            self.polling_reason = _start_failure(error)
            return self.polling_reason
        if kind in SHARED_FILE_SYSTEMS or kind.startswith("fuse."):
            self.polling_reason = f"the store is on {kind}, where changes made by other machines cause no events"
        elif not self._receives_events():
            unwatched = _unwatched(self._layout.root, [os.fsencode(STATE_DIR)])
            refused = bool(unwatched) and _watch_error(self._layout.state) in _LIMITS
            self.polling_reason = f"{_LIMIT}; {LIMIT_HINT}" if refused else "the system reports no changes here"
        else:
            self.polling_reason = ""
        return self.polling_reason

    def check(self, folders: Iterable[bytes]) -> str:
        """Checks that each of these folders still has a watch; returns ``polling_reason``, which may be new."""
        if self._observer is None or self.polling_reason:
            return self.polling_reason
        if not self._observer.is_alive() or not all(emitter.is_alive() for emitter in self._observer.emitters):
            self.polling_reason = "the system has stopped reporting changes"
        elif not (missed := _unwatched(self._layout.root, folders)):
            self.unwatched_suspected = False
        elif not self.unwatched_suspected:
            self.unwatched_suspected = True
        else:
            self.polling_reason = self._why_unwatched(missed)
        return self.polling_reason

    def _why_unwatched(self, missed: list[str]) -> str:
        """The cause, by what the system answers to a new watch of one of these folders."""
        folder = missed[0]
        error = _watch_error(self._layout.root / folder)
        some = folder if len(missed) == 1 else f"{folder} and {len(missed) - 1} more"
        if error in _LIMITS:
            return f"{_LIMIT}; folders without a watch: {len(missed):,}; {LIMIT_HINT}"
        if error:
            return f"{some} cannot be watched: {os.strerror(error)}"
        lost = "has lost its watch" if len(missed) == 1 else "have lost their watches"
        return f"{some} {lost}, as where a disk was mounted or unmounted there; restart the watcher to receive events"

    def stop(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            with contextlib.suppress(RuntimeError, OSError):
                observer.stop()
                observer.join(timeout=5)

    def _receives_events(self) -> bool:
        probe = self._layout.state / PROBE
        try:
            # A link of that name is replaced; through it another file would be emptied.
            write_new(probe, b"")
        except OSError:
            return False
        received = self._probe_received.wait(PROBE_TIMEOUT)
        with contextlib.suppress(OSError):
            probe.unlink()
        return received

    def overflow(self) -> None:
        """The system's event queue was full, and events were lost."""
        self.overflowed = True
        self._changes.request_rescan("events were lost")

    def handle(self, event: Any) -> None:
        """Queues the change that one event reports."""
        kind = event.event_type
        source, target = self._relative(event.src_path), self._relative(event.dest_path)
        for path in (source, target):
            if path is not None and _is_own_file(path):
                self._handle_own_file(path, kind)
        if event.is_directory:
            if kind == "deleted" or kind == "moved":
                self._add_parent(source)
            if kind == "created":
                self._add_folder(source)
            elif kind == "moved":
                self._add_folder(target)
            return
        self._add_file_event(kind, source, target)
        if kind == "modified" and REPORTS_CLOSE:
            # The file is scanned when it is closed.
            return
        self._add_parent(source)
        self._add_parent(target)

    def _add_file_event(self, kind: str, source: str | None, target: str | None) -> None:
        now = self._now()
        if kind == "modified" and source is not None and REPORTS_CLOSE:
            self._changes.add_file_event(lambda debouncer: debouncer.written(source, now))
        elif kind == "closed" and source is not None:
            self._changes.add_file_event(lambda debouncer: debouncer.closed(source, now))
        elif kind == "deleted" and source is not None:
            self._changes.add_file_event(lambda debouncer: debouncer.removed(source))
        elif kind == "moved" and target is not None:
            self._changes.add_file_event(lambda debouncer: debouncer.moved(source or "", target, now))

    def _handle_own_file(self, path: str, kind: str) -> None:
        if path == f"{STATE_DIR}/{PROBE}":
            self._probe_received.set()
        elif path.startswith(f"{STATE_DIR}/{ASKS}"):
            if kind == "created":
                self._changes.add_status_request(path.rpartition("/")[2])
        elif path == IGNORE_FILE:
            self._changes.request_rescan("the ignore file changed")
        elif path == SETTINGS_FILE or path.startswith(f"{STATE_DIR}/watch-"):
            self._changes.wake()

    def _add_folder(self, path: str | None) -> None:
        if path is not None and not _is_own_file(path) and not any(is_hidden(part) for part in path.split("/") if part):
            self._changes.add_folder(path)

    def _add_parent(self, path: str | None) -> None:
        if path is not None and not _is_own_file(path):
            name = path.rpartition("/")[2]
            if not is_hidden(name):
                self._add_folder(path.rpartition("/")[0])

    def _relative(self, path: bytes | str | None) -> str | None:
        if not path:
            return None
        text, root = os.fsdecode(path), str(self._layout.root)
        if text == root:
            return ""
        return text[len(root) + 1 :] if text.startswith(f"{root}/") else None


def _is_own_file(path: str) -> bool:
    return path.split("/")[0] == STATE_DIR or path in (IGNORE_FILE, SETTINGS_FILE)


class _Handler:
    """The object on which watchdog calls ``dispatch``."""

    def __init__(self, events: FsEvents) -> None:
        self._events = events

    def dispatch(self, event: Any) -> None:
        self._events.handle(event)


def _event_types() -> list[type[Any]]:
    from watchdog import events

    return [
        events.FileCreatedEvent,
        events.FileModifiedEvent,
        events.FileAttribEvent,
        events.FileMovedEvent,
        events.FileDeletedEvent,
        events.FileClosedEvent,
        events.DirCreatedEvent,
        events.DirMovedEvent,
        events.DirDeletedEvent,
    ]


def _start_failure(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in _LIMITS:
        return f"{_LIMIT}; {LIMIT_HINT}"
    return f"the system reports no changes here: {error}"


def _watch_error(folder: Path) -> int:
    """The error number of a new inotify watch of this folder, 0 where it succeeds; the watch is removed again."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return errno.ENOSYS
    descriptor: int = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return ctypes.get_errno()
    try:
        added: int = libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_ATTRIB)
        return ctypes.get_errno() if added < 0 else 0
    finally:
        os.close(descriptor)


def _unwatched(root: Path, folders: Iterable[bytes]) -> list[str]:
    """Which of the folders have no inotify watch of this process; none where they are not listed (proc(5))."""
    watched = set()
    with contextlib.suppress(OSError):
        for descriptor in Path("/proc/self/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                for line in descriptor.read_text().splitlines():
                    if line.startswith("inotify "):
                        watched.add(int(line.partition("ino:")[2].split(" ")[0], 16))
    if not watched:
        return []
    missed = []
    for folder in map(os.fsdecode, folders):
        with contextlib.suppress(OSError):
            if os.lstat(root / folder).st_ino not in watched:
                missed.append(folder or os.curdir)
    return missed


_started: "weakref.WeakSet[FsEvents]" = weakref.WeakSet()


class _OverflowHandler(logging.Handler):
    """watchdog reports a full event queue in its log and nowhere else."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            for events in list(_started):
                events.overflow()


def _report_overflows_to(events: FsEvents) -> None:
    logger = logging.getLogger("watchdog")
    if not any(isinstance(handler, _OverflowHandler) for handler in logger.handlers):
        logger.addHandler(_OverflowHandler())
        logger.propagate = False
    _started.add(events)
