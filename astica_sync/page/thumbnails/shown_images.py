"""What the page shows of an image: what is sent of it, as a browser may not be able to show the original."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from astica_sync.errors import AsticaSyncError
from astica_sync.local.backup.prepared_images import PreparedImages
from astica_sync.local.image.format import MAX_BYTES, preparable
from astica_sync.local.image.prepare.image_as_sent import as_shown
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.page.thumbnails.thumbnail_queue import NotShown

_MOST_KEPT = 4
"""So many converted images are kept: details, picture and neighbours of one image are asked for together."""


class ShownImages:
    """The images that ``load`` reads by content hash, as PNG or JPEG; for any number of threads."""

    def __init__(self, load: Callable[[str], bytes], prepared: PreparedImages, preparer: Preparer) -> None:
        self._load, self._prepared, self._preparer = load, prepared, preparer
        self._lock = threading.Lock()
        self._converted: OrderedDict[str, Future[bytes]] = OrderedDict()

    def load(self, content: str) -> bytes:
        """What was sent of the image, else what would be sent now; an image that is sent as it is as it is.

        Raises:
            NotShown: it is not there, or cannot be converted; the message is the reason.
        """
        try:
            sent = self._prepared.read(content, self._preparer.recipe.identity)
            return self._convert(content) if sent is None else sent
        except AsticaSyncError as error:
            raise NotShown(error.text_with_hint) from error

    def find(self, content: str) -> bytes | None:
        """As ``load``; None where there is nothing to show."""
        try:
            return self.load(content)
        except NotShown:
            return None

    def _convert(self, content: str) -> bytes:
        """Where several threads want one image, one of them converts it."""
        with self._lock:
            known = self._converted.get(content)
            if known is not None:
                self._converted.move_to_end(content)
        if known is not None:
            return known.result()
        data = self._load(content)
        if preparable(data) is None:
            return data
        with self._lock:
            known = self._converted.get(content)
            making = self._converted[content] = known or Future()
            self._converted.move_to_end(content)
            while len(self._converted) > _MOST_KEPT:
                self._converted.popitem(last=False)
        if known is None:
            try:
                making.set_result(as_shown(self._preparer, data))
            except BaseException as error:
                making.set_exception(error)
                self._forget(content, making)
                raise
            if len(making.result()) > MAX_BYTES:
                self._forget(content, making)
        return making.result()

    def _forget(self, content: str, making: "Future[bytes]") -> None:
        with self._lock:
            if self._converted.get(content) is making:
                del self._converted[content]
