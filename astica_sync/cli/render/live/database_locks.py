"""Notices that another process has locked a database of the store: SQLite waits inside a call then, and reports nothing
until the wait has ended."""

import time
from collections.abc import Callable
from pathlib import Path

from astica_sync.cli.render.text import countdown, safe
from astica_sync.local.layout import STATE_DIR
from astica_sync.system.processes.lock_holder import find_lock_holders, name_process

LONG_AFTER = 1.0
"""A usual write to a database takes less, in seconds."""
NAMES = ("journal.db", "index.db")


class DatabaseLocks:
    """The databases of the store that a folder is in, or is."""

    def __init__(self, folder: Path, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._ticks = folder, ticks
        self._since: dict[tuple[Path, int], float] = {}

    def look(self) -> None:
        """Looks which of them another process has locked now."""
        now, before = self._ticks(), self._since
        try:
            places = [self._folder.absolute(), *self._folder.absolute().parents]
        except OSError:
            # The current folder was deleted.
            return
        root = next((place for place in places if (place / STATE_DIR).is_dir()), None)
        files = () if root is None else (root / STATE_DIR / name for name in NAMES)
        self._since = {one: before.get(one, now) for one in find_lock_holders(files)}

    def text(self) -> str:
        """Which one has been locked for long, by which process; "" where none is."""
        for (file, pid), since in self._since.items():
            seconds = self._ticks() - since
            if seconds >= LONG_AFTER:
                return f"waiting for {file.name}: {safe(name_process(pid))} has locked it, {countdown(seconds)}"
        return ""
