"""The thread that owns the open store: its databases belong to the thread that opened them, and the page has many."""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from astica_sync.clock import SystemClock
from astica_sync.config import Settings
from astica_sync.local.layout import Layout
from astica_sync.open_session import OpenStore, open_session
from astica_sync.page.gallery.held_out_folders import HeldOutFolders
from astica_sync.page.gallery.index_reader import IndexReader
from astica_sync.page.gallery.refresh_gallery import GalleryRefresher
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import Session

T = TypeVar("T")


class OpenedStore:
    """What jobs of the keeper work with. The session is offline: what sends requests opens its own."""

    def __init__(
        self, opened: OpenStore, index: IndexReader, held_out: HeldOutFolders, found: Callable[[int | None], None]
    ) -> None:
        self.session: Session = opened.session
        self.settings: Settings = opened.settings
        self.layout: Layout = opened.layout
        self.index = index
        self.refresher: GalleryRefresher = GalleryRefresher(opened.session, index, held_out, found)


class StoreKeeper:
    """Runs jobs one after the other, each with the open store."""

    def __init__(
        self, store: Path, held_out: HeldOutFolders, found: Callable[[int | None], None] = lambda _: None
    ) -> None:
        """``found``: as for the refresher of the gallery."""
        self._store, self._held_out, self._found = store, held_out, found
        self._stack = contextlib.ExitStack()
        self._opened: OpenedStore | None = None
        self._thread = ThreadPoolExecutor(1, "store")

    def run(self, job: Callable[[OpenedStore], T]) -> "Future[T]":
        """Runs the job as soon as those before it have ended. A store that could not be opened is opened again."""
        return self._thread.submit(lambda: job(self._open()))

    def close(self) -> None:
        """Waits for the job under way, and closes the store."""
        self._thread.submit(self._stack.close)
        self._thread.shutdown(cancel_futures=False)

    def _open(self) -> OpenedStore:
        if self._opened is None:
            opened = self._stack.enter_context(
                open_session(self._store, ProgressListener(), clock=SystemClock(), offline=True)
            )
            index = self._stack.enter_context(contextlib.closing(IndexReader(opened.layout.index_db)))
            self._opened = OpenedStore(opened, index, self._held_out, self._found)
        return self._opened
