"""Small rasters of images, for comparisons and reports, made in bounded processes.

No image of a user is opened in this program itself: files come from anywhere, and decoders have crashed, hung, used up
memory and started other programs.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import Unworkable
from astica_sync.local.child_process import ChildProcess
from astica_sync.local.image.decoder import HEAVY_PIXELS, WORKER_MEMORY
from astica_sync.local.image.format import dimensions, judge_bytes, sniff

_REQUEST_SIDE = 2
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Raster:
    """An upright image in rows of pixels, each of three bytes: red, green and blue."""

    width: int
    height: int
    pixels: bytes


class Rasterizer:
    """A few worker processes that make rasters; for any number of threads. A worker that crashes or hangs is replaced,
    and there is no raster of its image."""

    def __init__(
        self,
        *,
        workers: int = min(4, os.cpu_count() or 1),
        seconds: float = _SECONDS,
        memory: int = WORKER_MEMORY,
        program: Sequence[str] = (sys.executable, "-P", "-m", "astica_sync.local.image.raster_process"),
    ) -> None:
        """``seconds`` is processor time for each image, ``memory`` is in bytes for each worker."""
        self._command = (*program, str(memory), str(seconds))
        self._patience = 3 * seconds
        self._free = threading.BoundedSemaphore(workers)
        self._heavy = threading.Lock()
        self._guard = threading.Lock()
        self._idle: list[ChildProcess] = []
        self.workers = workers

    def close(self) -> None:
        """Ends the workers."""
        with self._guard:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()

    def render_file(self, path: Path, side: int, *, square: bool = False) -> Raster | None:
        """As ``render``, for a file; None as well where it cannot be read.

        Raises:
            Unworkable: no worker can be started.
        """
        try:
            if judge_bytes(path.stat().st_size):
                return None
            data = path.read_bytes()
        except OSError:
            return None
        return self.render(data, side, square=square)

    def render(self, data: bytes, side: int, *, square: bool = False) -> Raster | None:
        """The image within ``side`` times ``side`` pixels, or of exactly that size where ``square``; None for what is
        no PNG or JPEG that can be decoded.

        Raises:
            Unworkable: no worker can be started.
        """
        if sniff(data) is None:
            return None
        width, height = dimensions(data) or (0, 0)
        with self._heavy if width * height > HEAVY_PIXELS else contextlib.nullcontext(), self._free:
            answer = self._ask(side.to_bytes(_REQUEST_SIDE, "little") + bytes([square]) + data)
        wide, high = (int.from_bytes(answer[start : start + 2], "little") for start in (0, 2))
        complete = 0 < wide <= side and 0 < high <= side and len(answer) == 4 + 3 * wide * high
        return Raster(wide, high, answer[4:]) if complete else None

    def _ask(self, request: bytes) -> bytes:
        """The answer of a worker; empty where it ended instead."""
        with self._guard:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = self._start()
        timer = threading.Timer(self._patience, worker.kill)
        timer.daemon = True
        timer.start()
        try:
            worker.send(request)
            answer = worker.receive()
        except (OSError, EOFError):
            worker.close()
            return b""
        except BaseException:
            worker.close()
            raise
        finally:
            timer.cancel()
        with self._guard:
            self._idle.append(worker)
        return answer

    def _start(self) -> ChildProcess:
        try:
            worker = ChildProcess(self._command)
        except OSError as error:
            raise Unworkable(
                f"the process that opens images cannot be started: {error}",
                "free some memory or end other programs, then run the command again",
            ) from error
        try:
            worker.receive_greeting()
        except (OSError, EOFError) as error:
            worker.close()
            raise Unworkable(
                "the process that opens images cannot be started: it ends immediately",
                f"run '{' '.join(self._command)}' to see its error message; it needs Pillow with PNG and JPEG",
            ) from error
        return worker
