"""The check of a whole image, where it cannot hurt.

Once per content, before its first upload, every pixel is decoded in a small process of its own: decoders have
crashed, hung and eaten the memory of whoever ran them, and the files come from anywhere.
"""

import contextlib
import os
import signal
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from astica_sync.errors import Unworkable
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import HEAD_BYTES, broken, describe, dimensions, judge_bytes, judge_sides, sniff

# Beyond this many pixels an image may need gigabytes, so that only one such image is decoded at a time.
HEAVY_PIXELS = 64_000_000

# The largest legitimate need: a progressive JPEG of 16000 x 16000 pixels in four colours keeps 2 bytes per
# coefficient, 2.05 GB; the rest is the interpreter, the file and the output.
WORKER_MEMORY = 3 << 30


class Decoder:
    """Checks whole images in a few worker processes, each bounded in memory and in processor time per image.

    May be called from several threads at once; each call borrows a worker, and a worker starts when it is first
    needed. One that crashes, hangs or takes too much is replaced, and the image is the worse for it, nobody else.
    Time is counted on the processor, so that a busy machine makes no image broken; three times as much on the wall
    ends a worker that waits for something for ever.
    """

    def __init__(
        self,
        *,
        workers: int = min(4, os.cpu_count() or 1),
        seconds: float = 20.0,
        memory: int = WORKER_MEMORY,
        patience: float | None = None,
        program: Sequence[str] = (sys.executable, "-P", "-m", "astica_sync.local.image.decoder_process"),
        fs: FileSystem | None = None,
    ) -> None:
        """``seconds`` is processor time, ``patience`` wall time, both per image; ``memory`` bytes per worker.

        ``-P`` keeps the current folder, which may be anybody's, out of the worker's module path.
        """
        self._seconds = seconds
        self._patience = 3 * seconds if patience is None else patience
        self._command = (*program, str(memory), str(seconds))
        self._fs = fs or FileSystem()
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
        """Ends the workers; one that is borrowed ends when its call does."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def check(self, path: Path) -> str | None:
        """None when the image is whole and within the limits; else the reason and what to do.

        Raises:
            OSError: the file cannot be read, which says nothing about the image.
            Unworkable: no worker can be started.
        """
        with self._fs.open_read(path) as file:
            size = self._fs.fstat(file).st_size
            if reason := judge_bytes(size):
                return reason
            return self.check_bytes(b"".join(self._fs.chunks(file)))

    def check_bytes(self, data: bytes) -> str | None:
        """As ``check``, for bytes at hand.

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
                # Perhaps by a machine short of memory, for the sake of something else: one more chance.
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
    """The worker died of this image, or was killed."""


class _TooSlow(Exception):
    """The worker used up its time."""


class _Worker:
    """One process that answers one question at a time: a length and so many bytes, each way.

    The answer to an image is the reason why it is broken, empty for a whole one; an empty answer at the start says
    that the worker is ready.
    """

    def __init__(self, command: Sequence[str], patience: float) -> None:
        """Raises Unworkable when the program does not come up: no image is to blame for that."""
        # Loaded with the first image that is checked; most commands check none.
        import subprocess

        self._late = False
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Never the key; and Ctrl-C in the terminal is for this program, which ends its workers itself.
                env={name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")},
                start_new_session=True,
            )
        except OSError as error:
            raise Unworkable(
                f"the image check cannot be started: {error}",
                "free some memory, or end other programs, then run the command again",
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        try:
            self._exchange(b"", patience)
        except (_WorkerKilled, _TooSlow) as error:
            raise Unworkable(
                "the image check cannot be started: its process ends at once",
                f"see what '{' '.join(command)}' says; it needs Pillow with PNG and JPEG",
            ) from error

    def ask(self, data: bytes, patience: float) -> str | None:
        """The worker's reason, or None; after an exception the worker is gone."""
        return self._exchange(struct.pack(">I", len(data)) + data, patience).decode() or None

    def end(self) -> None:
        """Ends the process and waits for it."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        self._answers.close()
        self._process.wait()

    def _exchange(self, question: bytes, patience: float) -> bytes:
        watch = threading.Timer(patience, self._kill_late)
        watch.daemon = True
        watch.start()
        try:
            self._questions.write(question)
            self._questions.flush()
            (length,) = struct.unpack(">I", self._read(4))
            return self._read(length)
        except BaseException as error:
            self.end()
            code = self._process.returncode
            if not isinstance(error, BrokenPipeError | EOFError):
                raise
            if self._late or code == -signal.SIGPROF:
                raise _TooSlow from error
            raise _WorkerKilled(f"its decoder was ended by {_name_end(code)}") from error
        finally:
            watch.cancel()

    def _kill_late(self) -> None:
        self._late = True
        self._process.kill()

    def _read(self, length: int) -> bytes:
        answer = self._answers.read(length)
        if len(answer) < length:
            raise EOFError
        return answer


def _name_end(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
