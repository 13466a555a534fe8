"""A few bounded processes that open images, since no image of a user is opened in this program itself.

Files come from anywhere, and decoders have crashed, hung, used up memory and started other programs. The processes run
``worker_process``.
"""

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from astica_sync.errors import Unworkable
from astica_sync.local.child_process import ChildProcess
from astica_sync.system.error_advice import memory_limit, reason_of, remedy

# Beyond this many pixels an image may need gigabytes, so that only one such image is opened at a time.
HEAVY_PIXELS = 64_000_000

# The largest legitimate need: a progressive JPEG of 16000 x 16000 pixels in four colours keeps 2 bytes per
# coefficient, 2.05 GB; the rest is the interpreter, the file and the output.
WORKER_MEMORY = 3 << 30

WORKERS = min(4, os.cpu_count() or 1)
SECONDS = 20.0
"""Processor time for one image."""
START_SECONDS = 60.0
"""Wall time in which a worker is ready."""

_STEP = 1.0


class WorkerKilled(Exception):
    """The worker crashed on this image, or was killed; the message says how it ended."""


class TooSlow(Exception):
    """The worker used up its time."""


class ImageWorkers:
    """Worker processes, each bounded in memory and in processor time per image.

    May be called from several threads at once; each call borrows a worker, which is started when it is first needed.
    One that crashes, hangs or uses too much is replaced. Processor time is limited, so that no image is to blame for a
    busy machine; three times as much wall time ends a worker that waits for something forever.
    """

    def __init__(
        self,
        module: str,
        *,
        workers: int = WORKERS,
        seconds: float = SECONDS,
        memory: int = WORKER_MEMORY,
        patience: float | None = None,
        program: Sequence[str] | None = None,
    ) -> None:
        """``module`` is what the workers run, or ``program`` instead. ``seconds`` is processor time, ``patience`` wall
        time, both per image; ``memory`` is in bytes per worker. Six parameters: the bounds, and the program for tests.

        ``-P`` keeps the current folder, whose content may be untrusted, out of the worker's module path.
        """
        self._patience = 3 * seconds if patience is None else patience
        self._command = (*(program or (sys.executable, "-P", "-m", module)), str(memory), str(seconds))
        self._free = threading.BoundedSemaphore(workers)
        self._heavy = threading.Lock()
        self._guard = threading.Lock()
        self._idle: list[_Worker] = []
        self._closed = False
        self.workers = workers

    def close(self) -> None:
        """Ends the workers; one that is in use ends with its call."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def ask(self, pixels: int, *request: bytes) -> bytes:
        """The answer to a request, in one or more parts, about an image of so many pixels.

        Raises:
            Unworkable: no worker can be started.
            WorkerKilled, TooSlow: the worker ended instead.
        """
        with self._heavy if pixels > HEAVY_PIXELS else contextlib.nullcontext(), self._free:
            with self._guard:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                worker = _Worker(self._command)
            answer = worker.ask(self._patience, *request)
            with self._guard:
                if not self._closed:
                    self._idle.append(worker)
                    return answer
            worker.end()
            return answer


class _Worker:
    """One process. It sends an empty message when it is ready, and answers each request."""

    def __init__(self, command: Sequence[str]) -> None:
        """
        Raises:
            Unworkable: the program does not start; no image is to blame.
        """
        try:
            self._process = ChildProcess(command)
        except OSError as error:
            raise Unworkable(
                f"the process that opens images cannot be started: {reason_of(error)}",
                remedy(error, command[0], writing=False),
            ) from error
        try:
            self._within(START_SECONDS, self._process.receive_greeting)
        except (WorkerKilled, TooSlow) as error:
            raise Unworkable(
                "the process that opens images cannot be started: it ends immediately",
                f"run '{shlex.join(command)}' to see its error message; it needs simplejpeg and Pillow"
                # It has the limits of this process.
                if not (near := memory_limit())
                else near,
            ) from error

    def ask(self, patience: float, *request: bytes) -> bytes:
        """The answer. After an exception the process has ended."""

        def exchange() -> bytes:
            self._process.send(*request)
            return self._process.receive()

        return self._within(patience, exchange)

    def end(self) -> None:
        """Ends the process and waits for it."""
        self._process.close()

    def _within(self, patience: float, exchange: Callable[[], bytes]) -> bytes:
        deadline = _Deadline(patience, self._process.kill)
        try:
            return exchange()
        except BaseException as error:
            self.end()
            code = self._process.exit_code
            if not isinstance(error, BrokenPipeError | EOFError):
                raise
            if deadline.passed or code == -signal.SIGPROF:
                raise TooSlow from error
            raise WorkerKilled(f"its decoder was ended by {_name_end(code)}") from error
        finally:
            deadline.cancel()


class _Deadline:
    """Calls ``end`` after so many seconds in which this program was running. Time in which it was stopped (Ctrl-Z, a
    suspended machine) counts as one step at most."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self.passed = False
        self._cancelled = threading.Event()
        threading.Thread(target=self._run, args=(seconds, end), daemon=True).start()

    def cancel(self) -> None:
        self._cancelled.set()

    def _run(self, seconds: float, end: Callable[[], None]) -> None:
        if all_passes(seconds, self._cancelled.wait):
            self.passed = True
            end()


def all_passes(seconds: float, wait: Callable[[float], bool]) -> bool:
    """Waits so long, in steps; False as soon as ``wait``, which waits for one step, is true."""
    while seconds > 0:
        if wait(min(_STEP, seconds)):
            return False
        seconds -= _STEP
    return True


def _name_end(code: int | None) -> str:
    try:
        return signal.Signals(-(code or 0)).name
    except ValueError:
        return f"exit code {code}"
