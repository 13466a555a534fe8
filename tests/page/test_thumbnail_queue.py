"""Thumbnails are made in the bounded processes, and what is asked for last comes first."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.local.image.thumbnailer import Thumbnailer
from astica_sync.page.thumbnails.thumbnail_cache import ThumbnailCache
from astica_sync.page.thumbnails.thumbnail_queue import ThumbnailQueue

PATIENCE = 30
FIRST, SECOND = "0" * 32, "1" * 32


class BusyThumbnailer(Thumbnailer):
    """Has one process, which is busy until ``free`` is set."""

    def __init__(self) -> None:
        super().__init__(workers=1)
        self.free = threading.Event()

    def shrink(self, data: bytes, side: int) -> bytes | None:
        assert self.free.wait(PATIENCE), "nothing else was read"
        return super().shrink(data, side)


@pytest.fixture
def thumbnailer() -> BusyThumbnailer:
    return BusyThumbnailer()


@pytest.fixture
def queue(tmp_path: Path, thumbnailer: BusyThumbnailer) -> Iterator[ThumbnailQueue]:
    loaded: list[str] = []

    def load(content: str) -> bytes:
        loaded.append(content)
        if len(loaded) == 2:
            thumbnailer.free.set()
        file = io.BytesIO()
        Image.new("RGB", (600, 400), "red").save(file, "JPEG")
        return file.getvalue()

    made = ThumbnailQueue(thumbnailer, ThumbnailCache(tmp_path / "thumbnails", "key"), load)
    yield made
    made.close()


def test_the_next_image_is_read_while_the_process_is_busy(queue: ThumbnailQueue) -> None:
    for making in [queue.ask(FIRST), queue.ask(SECOND)]:
        assert Image.open(io.BytesIO(making.result(PATIENCE))).size == (256, 171)
