"""Small JPEG files of images, made in separate processes, see ``worker_pool``."""

import json

from astica_sync.local.image.format import dimensions, preparable, sniff
from astica_sync.local.image.rasterizer import REQUEST
from astica_sync.local.image.worker_pool import SECONDS, WORKER_MEMORY, WORKERS, ImageWorkers, TooSlow, WorkerKilled

_JPEG = b"\xff\xd8\xff"


class Thumbnailer:
    """Makes small JPEG files of PNG and JPEG, for any number of threads. There is none of an image on which a worker
    ends."""

    def __init__(self, *, workers: int = WORKERS, seconds: float = SECONDS, memory: int = WORKER_MEMORY) -> None:
        """As ``ImageWorkers``."""
        self._workers = ImageWorkers(
            "astica_sync.local.image.thumbnail_process", workers=workers, seconds=seconds, memory=memory
        )

    @property
    def workers(self) -> int:
        """How many processes work at the same time."""
        return self._workers.workers

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()

    def read_camera(self, data: bytes) -> dict[str, str]:
        """When and with what an image was taken, as the file says: "taken" and "camera", where it names them.

        Raises:
            Unworkable: no worker can be started.
        """
        if preparable(data) is None and sniff(data) != "jpeg":
            return {}
        try:
            answer = self._workers.ask(0, REQUEST.pack(0, False), data)
            found = json.loads(answer or b"{}")
        except (WorkerKilled, TooSlow, ValueError):
            return {}
        return {name: str(found[name]) for name in ("taken", "camera") if name in found}

    def shrink(self, data: bytes, side: int) -> bytes | None:
        """A JPEG of the image, upright and within ``side`` times ``side`` pixels; None for what is no PNG or JPEG that
        can be decoded.

        Raises:
            Unworkable: no worker can be started.
        """
        if sniff(data) is None:
            return None
        width, height = dimensions(data) or (0, 0)
        try:
            answer = self._workers.ask(width * height, REQUEST.pack(side, False), data)
        except (WorkerKilled, TooSlow):
            return None
        return answer if answer.startswith(_JPEG) else None
