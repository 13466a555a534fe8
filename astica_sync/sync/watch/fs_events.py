"""Hears of changes from the system, where it tells; says so where it does not, so that somebody looks instead.

Events are hints. What they do not tell (a full queue, a limit of watches, a file system that is silent, or one on which
others write) is covered by scans at an interval.
"""

import contextlib
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

from astica_sync.local.filesystem import file_system_type
from astica_sync.local.layout import ASKS, IGNORE_FILE, SETTINGS_FILE, STATE_DIR, Layout
from astica_sync.local.scan.ignore import is_hidden
from astica_sync.sync.watch.change_queue import ChangeQueue

HEARING_SECONDS = 2.0
PROBE = "watch-probe"
# Others may write there, and the kernel of this machine does not hear of it.
SHARED = frozenset(
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
LIMIT_HINT = "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances to hear of changes at once"
_LIMIT = "the system's limit of watches is reached"
# Elsewhere nothing tells that a file was closed.
TELLS_CLOSED = sys.platform == "linux"


class FsEvents:
    """The system's word about one store. ``silent`` is why it must be looked at of one's own accord as well, ""
    where everything is heard."""

    def __init__(self, layout: Layout, hints: ChangeQueue, now: Callable[[], float]) -> None:
        self._layout = layout
        self._hints = hints
        self._now = now
        self._observer: Any = None
        self._heard = threading.Event()
        self.silent = "unasked"
        self.suspects = False
        """Whether the last check missed folders; new ones may only be too new, so it takes two."""
        self.has_lost = False
        """Whether the system's queue was ever too short."""

    def start(self) -> str:
        """Begins to listen and finds out whether anything is heard; returns ``silent``."""
        from watchdog.observers import Observer

        # It says so on standard error when a folder was made while it was being listened to, which loses nothing.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        _hear_of_losses(self)
        kind = file_system_type(self._layout.root)
        try:
            self._observer = Observer(timeout=60)
            self._observer.schedule(_Handler(self), str(self._layout.root), recursive=True, event_filter=_events())
            self._observer.start()
        except (OSError, RuntimeError) as error:
            self.stop()
            self.silent = _why(error)
            return self.silent
        if kind in SHARED or kind.startswith("fuse."):
            self.silent = f"the store lies on {kind}, where changes made elsewhere are not heard"
        elif not self._hears():
            unwatched = _unwatched(self._layout.root, [os.fsencode(STATE_DIR)])
            self.silent = f"{_LIMIT}; {LIMIT_HINT}" if unwatched else "the system does not tell of changes here"
        else:
            self.silent = ""
        return self.silent

    def check(self, folders: Iterable[bytes]) -> str:
        """Whether each of these folders is still listened to; returns ``silent``, which may have got a reason."""
        if self._observer is None or self.silent:
            return self.silent
        if not self._observer.is_alive() or not all(emitter.is_alive() for emitter in self._observer.emitters):
            self.silent = "the system has stopped telling of changes"
        elif not (missed := _unwatched(self._layout.root, folders)):
            self.suspects = False
        elif not self.suspects:
            self.suspects = True
        else:
            self.silent = f"{_LIMIT}, {missed} folders are not heard; {LIMIT_HINT}"
        return self.silent

    def stop(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            with contextlib.suppress(RuntimeError, OSError):
                observer.stop()
                observer.join(timeout=5)

    def _hears(self) -> bool:
        probe = self._layout.state / PROBE
        try:
            probe.write_bytes(b"")
        except OSError:
            return False
        heard = self._heard.wait(HEARING_SECONDS)
        with contextlib.suppress(OSError):
            probe.unlink()
        return heard

    def lost(self) -> None:
        """The system had more to tell than it keeps."""
        self.has_lost = True
        self._hints.everything("some changes came too fast to be told one by one")

    def tell(self, event: Any) -> None:
        """Turns one event into a hint."""
        kind = event.event_type
        source, target = self._relative(event.src_path), self._relative(event.dest_path)
        for path in (source, target):
            if path is not None and _is_ours(path):
                self._hear_ours(path, kind)
        if event.is_directory:
            if kind == "deleted" or kind == "moved":
                self._touch_above(source)
            if kind == "created":
                self._touch(source)
            elif kind == "moved":
                self._touch(target)
            return
        self._tell_writer(kind, source, target)
        if kind == "modified" and TELLS_CLOSED:
            # It is looked at when it is closed.
            return
        self._touch_above(source)
        self._touch_above(target)

    def _tell_writer(self, kind: str, source: str | None, target: str | None) -> None:
        now = self._now()
        if kind == "modified" and source is not None and TELLS_CLOSED:
            self._hints.word(lambda settling: settling.written(source, now))
        elif kind == "closed" and source is not None:
            self._hints.word(lambda settling: settling.closed(source, now))
        elif kind == "deleted" and source is not None:
            self._hints.word(lambda settling: settling.gone(source))
        elif kind == "moved" and target is not None:
            self._hints.word(lambda settling: settling.moved(source or "", target, now))

    def _hear_ours(self, path: str, kind: str) -> None:
        if path == f"{STATE_DIR}/{PROBE}":
            self._heard.set()
        elif path.startswith(f"{STATE_DIR}/{ASKS}"):
            if kind == "created":
                self._hints.ask(path.rpartition("/")[2])
        elif path == IGNORE_FILE:
            self._hints.everything("the ignore file changed")
        elif path == SETTINGS_FILE or path.startswith(f"{STATE_DIR}/watch-"):
            self._hints.wake()

    def _touch(self, path: str | None) -> None:
        if path is not None and not _is_ours(path) and not any(is_hidden(part) for part in path.split("/") if part):
            self._hints.folder(path)

    def _touch_above(self, path: str | None) -> None:
        if path is not None and not _is_ours(path):
            name = path.rpartition("/")[2]
            if not is_hidden(name):
                self._touch(path.rpartition("/")[0])

    def _relative(self, path: bytes | str | None) -> str | None:
        if not path:
            return None
        text, root = os.fsdecode(path), str(self._layout.root)
        if text == root:
            return ""
        return text[len(root) + 1 :] if text.startswith(f"{root}/") else None


def _is_ours(path: str) -> bool:
    return path.split("/")[0] == STATE_DIR or path in (IGNORE_FILE, SETTINGS_FILE)


class _Handler:
    """What the library calls."""

    def __init__(self, events: FsEvents) -> None:
        self._events = events

    def dispatch(self, event: Any) -> None:
        self._events.tell(event)


def _events() -> list[type[Any]]:
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


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EMFILE):
        return f"{_LIMIT}; {LIMIT_HINT}"
    return f"the system does not tell of changes here: {error}"


def _unwatched(root: Path, folders: Iterable[bytes]) -> int:
    """How many of the folders no watch of this process is about; 0 where the system does not say (proc(5), fdinfo)."""
    watched = set()
    with contextlib.suppress(OSError):
        for descriptor in Path("/proc/self/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                for line in descriptor.read_text().splitlines():
                    if line.startswith("inotify "):
                        watched.add(int(line.partition("ino:")[2].split(" ")[0], 16))
    if not watched:
        return 0
    missed = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            missed += os.lstat(root / os.fsdecode(folder)).st_ino not in watched
    return missed


_listening: "weakref.WeakSet[FsEvents]" = weakref.WeakSet()


class _Losses(logging.Handler):
    """The library says in its log alone that the system's queue was full."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            for events in list(_listening):
                events.lost()


def _hear_of_losses(events: FsEvents) -> None:
    logger = logging.getLogger("watchdog")
    if not any(isinstance(handler, _Losses) for handler in logger.handlers):
        logger.addHandler(_Losses())
        logger.propagate = False
    _listening.add(events)
