"""Notices that another process has locked a database of the store: SQLite waits inside a call then, and reports nothing
until the wait has ended."""

import time
from collections.abc import Callable
from pathlib import Path

from astica_sync.cli.render.text import countdown, safe
from astica_sync.errors import StoreError
from astica_sync.local.layout import find_store
from astica_sync.system.processes.lock_holder import find_lock_holders, name_process

LONG_AFTER = 1.0
"""A usual write to a database takes less, in seconds."""


class DatabaseLocks:
    """The databases of the store that a folder is in, or is."""

    def __init__(self, folder: Path, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._ticks = folder, ticks
        self._since: dict[tuple[Path, int], float] = {}

    def look(self) -> None:
        """Looks which of them another process has locked now."""
        now, before = self._ticks(), self._since
        try:
            layout = find_store(self._folder)
        except StoreError:
            return
        holders = find_lock_holders((layout.journal_db, layout.index_db))
        self._since = {one: before.get(one, now) for one in holders}

    def text(self) -> str:
        """Which one has been locked for long, by which process; "" where none is."""
        for (file, pid), since in self._since.items():
            seconds = self._ticks() - since
            if seconds >= LONG_AFTER:
                return f"waiting for {file.name}: {safe(name_process(pid))} has locked it, {countdown(seconds)}"
        return ""
