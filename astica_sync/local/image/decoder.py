"""Checks whole images in separate processes.

Once per content, before its first upload, every pixel is decoded in a small process: decoders have crashed, hung and
used up the memory of the program that ran them, and the files come from anywhere.
"""

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from astica_sync.errors import Unworkable
from astica_sync.local.child_process import ChildProcess
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import HEAD_BYTES, broken, describe, dimensions, judge_bytes, judge_sides, sniff

# Beyond this many pixels an image may need gigabytes, so that only one such image is decoded at a time.
HEAVY_PIXELS = 64_000_000

# The largest legitimate need: a progressive JPEG of 16000 x 16000 pixels in four colours keeps 2 bytes per
# coefficient, 2.05 GB; the rest is the interpreter, the file and the output.
WORKER_MEMORY = 3 << 30


class Decoder:
    """Checks whole images in a few worker processes, each bounded in memory and in processor time per image.

    May be called from several threads at once; each call borrows a worker, which is started when it is first needed.
    A worker that crashes, hangs or uses too much is replaced, and its image counts as broken. Processor time is
    limited, so that no image counts as broken on a busy machine; three times as much wall time ends a worker that
    waits for something forever.
    """

    def __init__(
        self,
        *,
        workers: int = min(4, os.cpu_count() or 1),
        seconds: float = 20.0,
        memory: int = WORKER_MEMORY,
        patience: float | None = None,
        program: Sequence[str] = (sys.executable, "-P", "-m", "astica_sync.local.image.decoder_process"),
        files: FileSystem | None = None,
    ) -> None:
        """``seconds`` is processor time, ``patience`` wall time, both per image; ``memory`` is in bytes per worker.

        ``-P`` keeps the current folder, whose content may be untrusted, out of the worker's module path.
        """
        self._seconds = seconds
        self._patience = 3 * seconds if patience is None else patience
        self._command = (*program, str(memory), str(seconds))
        self._files = files or FileSystem()
        self._free = threading.BoundedSemaphore(workers)
        self._heavy = threading.Lock()
        self._guard = threading.Lock()
        self._idle: list[_Worker] = []
        self._closed = False

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers; one that is in use ends with its call."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

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
        heavy = sides[0] * sides[1] > HEAVY_PIXELS
        with self._heavy if heavy else contextlib.nullcontext(), self._free:
            try:
                return self._decode(data)
            except _WorkerKilled:
                # Perhaps the machine was short of memory for another reason: try once more.
                try:
                    return self._decode(data)
                except _WorkerKilled as death:
                    return broken(str(death))

    def _decode(self, data: bytes) -> str | None:
        with self._guard:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker(self._command, self._patience)
        try:
            reason = worker.ask(data, self._patience)
        except _TooSlow:
            return broken(f"its decode takes more than {self._seconds:g} seconds")
        with self._guard:
            if not self._closed:
                self._idle.append(worker)
                return reason
        worker.end()
        return reason


class _WorkerKilled(Exception):
    """The worker crashed on this image, or was killed."""


class _TooSlow(Exception):
    """The worker used up its time."""


class _Worker:
    """One decoder process. It sends an empty message when it is ready, and answers each image with the reason why it
    is broken, or with nothing."""

    def __init__(self, command: Sequence[str], patience: float) -> None:
        """
        Raises:
            Unworkable: the program does not start; no image is to blame.
        """
        self._late = False
        try:
            self._process = ChildProcess(command)
        except OSError as error:
            raise Unworkable(
                f"the image check cannot be started: {error}",
                "free some memory or end other programs, then run the command again",
            ) from error
        try:
            self._within(patience, self._process.receive_greeting)
        except (_WorkerKilled, _TooSlow) as error:
            raise Unworkable(
                "the image check cannot be started: its process ends immediately",
                f"run '{shlex.join(command)}' to see its error message; it needs simplejpeg and Pillow",
            ) from error

    def ask(self, data: bytes, patience: float) -> str | None:
        """The reason why the image is broken, or None. After an exception the process has ended."""

        def exchange() -> bytes:
            self._process.send(data)
            return self._process.receive()

        return self._within(patience, exchange).decode() or None

    def end(self) -> None:
        """Ends the process and waits for it."""
        self._process.close()

    def _within(self, patience: float, exchange: Callable[[], bytes]) -> bytes:
        timer = threading.Timer(patience, self._kill_late)
        timer.daemon = True
        timer.start()
        try:
            return exchange()
        except BaseException as error:
            self.end()
            code = self._process.exit_code
            if not isinstance(error, BrokenPipeError | EOFError):
                raise
            if self._late or code == -signal.SIGPROF:
                raise _TooSlow from error
            raise _WorkerKilled(f"its decoder was ended by {_name_end(code)}") from error
        finally:
            timer.cancel()

    def _kill_late(self) -> None:
        self._late = True
        self._process.kill()


def _name_end(code: int | None) -> str:
    try:
        return signal.Signals(-(code or 0)).name
    except ValueError:
        return f"exit code {code}"
