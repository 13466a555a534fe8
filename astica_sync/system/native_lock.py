"""Locks of files by the operating system, which end with their process."""

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

# Newer versions of the library take the existence of the file for a lock where the system has none, which would outlive
# its process. Older ones refuse, as is wanted.
_NO_FALLBACK: dict[str, Any] = (
    {"fallback_to_soft": False} if "fallback_to_soft" in inspect.signature(FileLock.__init__).parameters else {}
)


def native_lock(file: Path | str, *, timeout: float = -1, mode: int = 0o600, any_thread: bool = False) -> FileLock:
    """A lock that raises ``OSError`` or ``NotImplementedError`` where the file system has none. ``any_thread``: one
    thread may release what another one has acquired."""
    return FileLock(str(file), timeout, mode, not any_thread, **_NO_FALLBACK)


@contextlib.contextmanager
def lock_if_free(file: Path, *, wait_s: float) -> Iterator[bool]:
    """Holds the lock in the block and yields True; yields False where another lock of the file was held for ``wait_s``.

    Where the file system has no locks, none can be held.
    """
    lock = native_lock(file)
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.02)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError):
        yield True
        return
    try:
        yield True
    finally:
        lock.release()
