"""A thread that works on the newest gallery."""

import threading
from collections.abc import Callable, Iterator

from astica_sync.page.gallery.refresh_gallery import Gallery


class GalleryThread:
    """Runs ``work`` in a thread of its own, from the first gallery on. ``work`` takes what it works on from
    ``galleries``; those that were replaced meanwhile are left out."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name, self._work = name, work
        self._changed = threading.Condition()
        self._wanted: Gallery | None = None
        self._thread: threading.Thread | None = None
        self.closed: bool = False

    def follow(self, gallery: Gallery) -> None:
        """Works on this gallery next, unless that is done or a newer one is followed."""
        with self._changed:
            if self.closed or (self._wanted is not None and self._wanted.revision >= gallery.revision):
                return
            self._wanted = gallery
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def galleries(self) -> Iterator[Gallery]:
        """The newest gallery each time, until the thread is closed; for the thread itself."""
        done = 0
        while (gallery := self._next(done)) is not None:
            done = gallery.revision
            yield gallery

    def close(self) -> None:
        """Ends the thread, after what it is at."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _next(self, done: int) -> Gallery | None:
        with self._changed:
            while not self.closed and (self._wanted is None or self._wanted.revision <= done):
                self._changed.wait()
            return None if self.closed else self._wanted
