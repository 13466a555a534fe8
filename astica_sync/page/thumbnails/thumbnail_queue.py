"""Makes thumbnails in a few threads, the one asked for last first: what scrolled out of view waits, and what no
request waits for any more is not made."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from astica_sync.errors import AsticaSyncError
from astica_sync.local.image.thumbnailer import Thumbnailer
from astica_sync.page.thumbnails.thumbnail_cache import ThumbnailCache

SIDE = 256
LARGE_SIDE = 2048


class NotShown(Exception):
    """There is no thumbnail; the message is the reason. ``found``: the image is there and cannot be decoded."""

    def __init__(self, reason: str, *, found: bool = True) -> None:
        super().__init__(reason)
        self.found = found


@dataclass(slots=True)
class _Order:
    content: str
    side: int
    result: "Future[bytes]" = field(default_factory=Future)
    waiting: int = 0
    begun: bool = False


class ThumbnailQueue:
    """Thumbnails of the images that ``load`` reads by content hash; it raises ``NotShown`` where there is none."""

    def __init__(self, thumbnailer: Thumbnailer, cache: ThumbnailCache, load: Callable[[str], bytes]) -> None:
        self._thumbnailer, self._cache, self._load = thumbnailer, cache, load
        self._changed = threading.Condition()
        self._orders: dict[tuple[str, int], _Order] = {}
        """In the order in which they were asked for; the last one is made next."""
        self._closed = False
        # One more than there are processes: the next image is read while all of them are busy.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(thumbnailer.workers + 1)]
        for thread in self._threads:
            thread.start()

    def ask(self, content: str, side: int = SIDE) -> "Future[bytes]":
        """The thumbnail, once it is made; ``drop`` says that it is not needed any more."""
        key = content, side
        with self._changed:
            order = self._orders.pop(key, None) or _Order(content, side)
            order.waiting += 1
            self._orders[key] = order
            self._changed.notify()
        return order.result

    def drop(self, content: str, side: int = SIDE) -> None:
        """One of those who asked does not wait any more."""
        with self._changed:
            order = self._orders.get((content, side))
            if order is None:
                return
            order.waiting -= 1
            if order.waiting <= 0 and not order.begun:
                del self._orders[content, side]

    def close(self) -> None:
        """Ends the threads and the processes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thumbnailer.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _work(self) -> None:
        while (order := self._next()) is not None:
            try:
                result = self._make(order)
            except Exception as error:  # noqa: BLE001 - it is raised where the result is taken
                self._end(order)
                order.result.set_exception(error)
            else:
                self._end(order)
                order.result.set_result(result)

    def _next(self) -> _Order | None:
        with self._changed:
            while True:
                if self._closed:
                    return None
                for order in reversed(self._orders.values()):
                    if not order.begun:
                        order.begun = True
                        return order
                self._changed.wait()

    def _end(self, order: _Order) -> None:
        with self._changed:
            self._orders.pop((order.content, order.side), None)

    def _make(self, order: _Order) -> bytes:
        if order.side == SIDE and (cached := self._cache.read(order.content, order.side)) is not None:
            return cached
        try:
            made = self._thumbnailer.shrink(self._load(order.content), order.side)
        except AsticaSyncError as error:
            raise NotShown(error.text_with_hint) from error
        if made is None:
            raise NotShown("the image cannot be decoded: it is damaged")
        if order.side == SIDE:
            self._cache.write(order.content, order.side, made)
        return made
