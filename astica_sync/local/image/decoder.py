"""Checks whole images in separate processes.

Once per content, before its first upload, every pixel is decoded in a small process, see ``worker_pool``.
"""

from collections.abc import Sequence
from pathlib import Path

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import HEAD_BYTES, broken, describe, dimensions, judge_bytes, judge_sides, sniff
from astica_sync.local.image.worker_pool import SECONDS, WORKER_MEMORY, WORKERS, ImageWorkers, TooSlow, WorkerKilled


class Decoder:
    """Checks whole images in a few worker processes. An image on which a worker ends counts as broken."""

    def __init__(
        self,
        *,
        workers: int = WORKERS,
        seconds: float = SECONDS,
        memory: int = WORKER_MEMORY,
        patience: float | None = None,
        program: Sequence[str] | None = None,
        files: FileSystem | None = None,
    ) -> None:
        """As ``ImageWorkers``; six parameters for the same reason."""
        self._seconds = seconds
        self._files = files or FileSystem()
        self._workers = ImageWorkers(
            "astica_sync.local.image.decoder_process",
            workers=workers,
            seconds=seconds,
            memory=memory,
            patience=patience,
            program=program,
        )

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers; one that is in use ends with its call."""
        self._workers.close()

    def check(self, path: Path) -> str | None:
        """None when the image is complete and within the limits; else the reason and what to do.

        Raises:
            OSError: the file cannot be read, which says nothing about the image.
            Unworkable: no worker can be started.
        """
        with self._files.open_read(path) as file:
            size = self._files.fstat(file).st_size
            if reason := judge_bytes(size):
                return reason
            return self.check_bytes(b"".join(self._files.chunks(file)))

    def check_bytes(self, data: bytes) -> str | None:
        """As ``check``, for bytes in memory.

        Raises:
            Unworkable: no worker can be started.
        """
        if sniff(data) is None:
            return describe(data[:HEAD_BYTES], len(data))
        if reason := judge_bytes(len(data)):
            return reason
        sides = dimensions(data)
        if sides is None:
            return broken("no dimensions in its header")
        if reason := judge_sides(*sides):
            return reason
        pixels = sides[0] * sides[1]
        try:
            return self._decode(data, pixels)
        except WorkerKilled:
            # Perhaps the machine was short of memory for another reason: try once more.
            try:
                return self._decode(data, pixels)
            except WorkerKilled as death:
                return broken(str(death))

    def _decode(self, data: bytes, pixels: int) -> str | None:
        try:
            return self._workers.ask(pixels, data).decode() or None
        except TooSlow:
            return broken(f"its decode takes more than {self._seconds:g} seconds")
