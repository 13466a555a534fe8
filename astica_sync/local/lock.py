"""One writer per store (promise 8): a lock of the operating system, which a killed process gives back.

A second lock beside it is held by whoever waits for the first, so that a watcher hears of it and gives way.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from astica_sync.clock import local_time
from astica_sync.errors import StoreBusy, StoreError
from astica_sync.local.layout import STATE_DIR, Layout

PIECE_PATIENCE = 30.0


@contextlib.contextmanager
def writer_lock(
    layout: Layout, *, now: float | None = None, command: str | None = None, patient: bool = True
) -> Iterator[None]:
    """Held by whoever changes the service from this store; does not wait, except that the ``patient`` give a watcher
    the time to let go. Who is not patient steps back for those who wait.

    ``now`` (seconds since the epoch) and ``command`` (default: this process's own) are what another process is told.

    Raises:
        StoreBusy: another process holds it; says which.
        StoreError: the file system cannot lock, or the folder cannot be written.
    """
    if not layout.state.is_dir():
        # The library would make the folder, and a disk that is not mounted would seem to be a store.
        raise StoreError(f"cannot lock {layout.root}: it has no {STATE_DIR}", "is the disk mounted?")
    lock = FileLock(str(layout.lock_file))
    try:
        if patient and is_watched(layout):
            with FileLock(str(_wanted_file(layout))).acquire(timeout=PIECE_PATIENCE, poll_interval=0.02):
                lock.acquire(timeout=PIECE_PATIENCE, poll_interval=0.02)
        elif not patient and is_wanted(layout):
            raise StoreBusy(f"another command waits for {layout.root}", "it goes first; the watcher goes on after it")
        else:
            lock.acquire(timeout=0)
    except Timeout as error:
        hint = "wait for it to end, or stop it; astica-sync pull-status works meanwhile"
        raise StoreBusy(f"{layout.root} is being written by {_read_holder(layout)}", hint) from error
    except (OSError, NotImplementedError) as error:
        raise StoreError(f"cannot lock {layout.lock_file}: {error}", "mend the folder's rights") from error
    try:
        _write_holder(layout, now, command)
        yield
    finally:
        with contextlib.suppress(OSError):
            _holder_file(layout).unlink()
        lock.release()


@contextlib.contextmanager
def watcher_lock(layout: Layout) -> Iterator[None]:
    """Held by a watcher for as long as it runs; beside the lock of the one writer, so that a push works meanwhile.

    Raises:
        StoreBusy: another process watches this store.
        StoreError: the file system cannot lock, or the folder cannot be written.
    """
    if not layout.state.is_dir():
        raise StoreError(f"cannot lock {layout.root}: it has no {STATE_DIR}", "is the disk mounted?")
    lock = FileLock(str(layout.watch_lock))
    try:
        # Whoever only asks whether a watcher runs holds it for a moment.
        lock.acquire(timeout=1, poll_interval=0.02)
    except Timeout as error:
        raise StoreBusy(
            f"{layout.root} is being watched by another process", "astica-sync watch status says which"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise StoreError(f"cannot lock {layout.watch_lock}: {error}", "mend the folder's rights") from error
    try:
        yield
    finally:
        lock.release()


def is_watched(layout: Layout) -> bool:
    """Whether a watcher of this store is alive, whatever its files say."""
    return _is_held(layout.watch_lock)


def is_wanted(layout: Layout) -> bool:
    """Whether somebody waits for the store's lock."""
    return _is_held(_wanted_file(layout))


def _is_held(file: Path) -> bool:
    if not file.exists():
        return False
    lock = FileLock(str(file))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False


def _wanted_file(layout: Layout) -> Path:
    return layout.lock_file.with_name("lock-wanted")


def _holder_file(layout: Layout) -> Path:
    # Beside the lock, not in it: the lock's own file belongs to the library, and a broken note breaks nothing.
    return layout.lock_file.with_name("lock-holder.json")


def _write_holder(layout: Layout, now: float | None, command: str | None) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) if command is None else command
    with contextlib.suppress(OSError):
        _holder_file(layout).write_text(json.dumps({"pid": os.getpid(), "command": command[:200], "since": now}))


def _read_holder(layout: Layout) -> str:
    try:
        holder = json.loads(_holder_file(layout).read_bytes())
        pid, command, since = int(holder["pid"]), str(holder["command"]), holder["since"]
        start = "" if since is None else f" since {local_time(since, seconds=True)}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
    shown = "".join(letter if letter.isprintable() else "?" for letter in command)
    return f"process {pid} ({shown}){start}"
