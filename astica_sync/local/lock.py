"""One writer per store (promise 8): a lock of the operating system, which is released when its process is killed.

A process that waits for the lock holds a second one meanwhile, so that a watcher notices it and releases the first.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from astica_sync.clock import local_time
from astica_sync.errors import StoreBusy, StoreError
from astica_sync.file_owner import create_private
from astica_sync.local.filesystem import FileSystem, is_real_folder, write_new
from astica_sync.local.layout import STATE_DIR, Layout
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import lock_remedy, reason_of
from astica_sync.system.native_lock import native_lock

WATCHER_WAIT_S = 30.0
SILENT_WAIT_S = 0.5
_MOST_HOLDER = 4096
_ELSEWHERE = "a process of another container or machine"


@contextlib.contextmanager
def writer_lock(
    layout: Layout,
    *,
    now: float | None = None,
    command: str | None = None,
    patient: bool = True,
    on_wait: Callable[[float, str], None] = lambda _seconds, _why: None,
) -> Iterator[None]:
    """Held by a process while it changes the service from this store.

    With ``patient`` it waits for half a second, and gives a watcher more time to release the lock. Without, as in a
    watcher, it yields to processes that wait. ``now`` (seconds since the epoch) and ``command`` (default: the
    command line) are shown to other processes. ``on_wait`` is called where it waits, with the longest time in seconds
    and the reason.

    Raises:
        StoreBusy: another process holds it; the message says which.
        StoreError: the file system cannot lock, or the folder cannot be written.
    """
    if not is_real_folder(layout.state):
        # FileLock would create the folder, and a disk that is not mounted would look like a store.
        raise StoreError(f"cannot lock {layout.root}: it has no {STATE_DIR}", "check that the disk is mounted")
    lock = _file_lock(layout.lock_file)
    try:
        if patient and is_watched(layout):
            with _file_lock(_wanted_file(layout)).acquire(timeout=WATCHER_WAIT_S, poll_interval=0.02):
                _acquire_from_watcher(lock, layout, on_wait)
        elif not patient and is_wanted(layout):
            raise StoreBusy(f"another command waits for {layout.root}", "the watcher continues after it")
        else:
            # The page takes it for a moment where it keeps deleted images in the backup.
            lock.acquire(timeout=SILENT_WAIT_S if patient else 0, poll_interval=0.02)
    except Timeout as error:
        holder = _read_holder(layout)
        there = " there" if holder.startswith(_ELSEWHERE) else ""
        hint = f"wait for it to end, or stop it{there}; astica-sync pull-status works at the same time"
        raise StoreBusy(f"{layout.root} is locked by {holder}", hint) from error
    except (OSError, NotImplementedError) as error:
        raise StoreError(
            f"cannot lock {layout.lock_file}: {_reason(error)}", lock_remedy(error, layout.state)
        ) from error
    try:
        _write_holder(layout, now, command)
        yield
    finally:
        with contextlib.suppress(OSError):
            _holder_file(layout).unlink()
        lock.release()


def _acquire_from_watcher(lock: FileLock, layout: Layout, on_wait: Callable[[float, str], None]) -> None:
    try:
        lock.acquire(timeout=SILENT_WAIT_S, poll_interval=0.02)
    except Timeout:
        on_wait(WATCHER_WAIT_S, f"the store is locked by {_read_holder(layout)}")
        lock.acquire(timeout=WATCHER_WAIT_S, poll_interval=0.02)


@contextlib.contextmanager
def watcher_lock(layout: Layout) -> Iterator[None]:
    """Held by a watcher for as long as it runs. It is not the writer lock, so that a push works at the same time.

    Raises:
        StoreBusy: another process watches this store.
        StoreError: the file system cannot lock, or the folder cannot be written.
    """
    if not is_real_folder(layout.state):
        raise StoreError(f"cannot lock {layout.root}: it has no {STATE_DIR}", "check that the disk is mounted")
    lock = _file_lock(layout.watch_lock)
    try:
        # A process that only checks whether a watcher runs holds it for a moment.
        lock.acquire(timeout=1, poll_interval=0.02)
    except Timeout as error:
        raise StoreBusy(
            f"{layout.root} is being watched by another process", "to see which: astica-sync watch status"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise StoreError(
            f"cannot lock {layout.watch_lock}: {_reason(error)}", lock_remedy(error, layout.state)
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_watched(layout: Layout) -> bool:
    """Whether a watcher of this store is running, by its lock."""
    return _is_held(layout.watch_lock)


def is_wanted(layout: Layout) -> bool:
    """Whether a process waits for the store's lock."""
    return _is_held(_wanted_file(layout))


def find_writer(layout: Layout) -> str | None:
    """The process that holds the store's lock, with its command and since when it does; None where none does."""
    return _read_holder(layout) if _is_held(layout.lock_file) else None


def _is_held(file: Path) -> bool:
    if not is_real_folder(file.parent) or not file.exists():
        return False
    lock = _file_lock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False


def _file_lock(file: Path) -> FileLock:
    """
    Raises:
        StoreError: a link has the name of the lock's file, which the library would empty.
    """
    if file.is_symlink():
        raise StoreError(
            f"{file} is a symbolic link, and writing through it would change other files",
            f"Remove it: rm {quote_path(str(file))}",
        )
    with contextlib.suppress(OSError):
        os.close(create_private(file))
    return native_lock(file)


def _reason(error: Exception) -> str:
    return reason_of(error) if isinstance(error, OSError) else str(error)


def _wanted_file(layout: Layout) -> Path:
    return layout.lock_file.with_name("lock-wanted")


def _holder_file(layout: Layout) -> Path:
    # Not in the lock file, which belongs to the library. If this file is damaged, only its information is lost.
    return layout.lock_file.with_name("lock-holder.json")


def _write_holder(layout: Layout, now: float | None, command: str | None) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) if command is None else command
    with contextlib.suppress(OSError):
        text = json.dumps({"pid": os.getpid(), "command": command[:200], "since": now, "where": process_space()})
        write_new(_holder_file(layout), text.encode())


def _read_holder(layout: Layout) -> str:
    try:
        with FileSystem().open_read(_holder_file(layout)) as file:
            holder = json.loads(file.read(_MOST_HOLDER))
        pid, command, since = int(holder["pid"]), str(holder["command"])[:200], holder["since"]
        start = "" if since is None else f" since {local_time(since, seconds=True)}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"
    printable = "".join(letter if letter.isprintable() else "?" for letter in command)
    where = holder.get("where")
    if where and where != process_space():
        # Its number is another program's here, or none's.
        return f"{_ELSEWHERE} ({printable}, process {pid} there){start}"
    return f"process {pid} ({printable}){start}"


def process_space() -> str:
    """In what a process number means this process: the boot of a machine, and the container; "" where unknown."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return ""
