"""The thread that changes files: apart from the store's own, so that a change never waits for a scan."""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from astica_sync.local.backup.backup import Backup
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.page.changes.change_log import ChangeLog
from astica_sync.page.changes.change_maker import ChangeMaker
from astica_sync.page.changes.kept_files import KeptFiles
from astica_sync.page.gallery.index_reader import IndexReader

T = TypeVar("T")
KEPT = "kept"
"""The folder, among the page's own, of files that were removed and are not in the backup yet."""


class ChangeThread:
    """Runs jobs one after the other, each with a ``ChangeMaker``. ``folder`` is the page's own in the hidden one."""

    def __init__(self, layout: Layout, folder: Path, now: Callable[[], float]) -> None:
        self._layout, self._folder, self._now = layout, folder, now
        self._stack = contextlib.ExitStack()
        self._maker: ChangeMaker | None = None
        self._thread = ThreadPoolExecutor(1, "changes")

    def run(self, job: Callable[[ChangeMaker], T]) -> "Future[T]":
        return self._thread.submit(lambda: job(self._open()))

    def close(self) -> None:
        """Waits for the job under way."""
        self._thread.submit(self._stack.close)
        self._thread.shutdown()

    def _open(self) -> ChangeMaker:
        if self._maker is None:
            FileSystem().make_folder(self._folder)
            index = self._stack.enter_context(contextlib.closing(IndexReader(self._layout.index_db)))
            log = self._stack.enter_context(contextlib.closing(ChangeLog(self._folder / "changes.db")))
            backup = Backup(self._layout.backup, FileSystem(self._layout.root))
            kept = KeptFiles(self._layout, self._folder / KEPT, backup, self._now)
            self._maker = ChangeMaker(self._layout, index, log, kept, self._now)
        return self._maker
