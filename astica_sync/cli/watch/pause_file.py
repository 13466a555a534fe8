"""The pause of a store's watcher: a file in the store, so that it lasts over restarts and holds for ``--once``."""

import contextlib
import os

from astica_sync.clock import local_time
from astica_sync.local.filesystem import write_new
from astica_sync.local.layout import Layout

RESUME = "to resume: astica-sync watch resume"


def is_paused(layout: Layout) -> bool:
    """Whether the user has paused the watcher of this store."""
    return os.path.lexists(layout.watch_paused)


def paused_at(layout: Layout) -> float | None:
    """When the user paused the watcher of this store, in seconds since the epoch; None where it is not paused."""
    try:
        return layout.watch_paused.lstat().st_mtime
    except OSError:
        return None


def pause_store(layout: Layout) -> None:
    """Pauses the watcher; a pause that lasts already keeps its time.

    Raises:
        OSError: the file cannot be written.
    """
    if not is_paused(layout):
        write_new(layout.watch_paused, b"")


def resume_store(layout: Layout) -> None:
    """Ends the pause.

    Raises:
        OSError: the file cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        layout.watch_paused.unlink()


def check_pause(layout: Layout) -> None:
    """For the clock of a run that a pause ends.

    Raises:
        PauseRequested: the user has paused the watcher.
    """
    if is_paused(layout):
        # Loaded here: a status needs no watcher.
        from astica_sync.sync.watch.store_watcher import PauseRequested

        raise PauseRequested("paused by the user", f"{RESUME[:1].upper()}{RESUME[1:]}")


def pause_text(at: float | None) -> str:
    """What a status says of a store that was paused at this time; None where the time is not known any more."""
    since = "" if at is None else f" since {local_time(at)}"
    return f"paused by the user{since}; {RESUME}"
