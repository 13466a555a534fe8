"""Commands that begin where Python has started: a server has loaded the program once, and each command is a fork of it.

A command waits at a gate until strace is attached to it, so the calls are counted from there. What the server has
loaded is what ``tests.harness.short_pauses`` has loaded when a command begins; a command loads the rest itself.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.syscalls.faults import START

LONGEST_EXCHANGE = 2.0
"""Seconds. What leaves the service waiting for the rest of a request ends at the deadline of the exchange alone."""
GO = signal.SIGUSR1
_ANY_TRACER = ctypes.c_ulong(-1)
_PR_SET_PTRACER = 0x59616D61


Ended = subprocess.CompletedProcess[str]


class CommandServer:
    """A server process, and the commands that it runs with one environment; ``loaded`` are modules that it loads before
    them."""

    def __init__(self, folder: Path, environ: Mapping[str, str], loaded: Sequence[str] = ()) -> None:
        self._out = folder / "out"
        self._err = folder / "err"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.syscalls.command_server", str(self._out), str(self._err), *loaded],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, arguments: Sequence[str], tracer: Sequence[str], patience: float
    ) -> "subprocess.CompletedProcess[str]":
        """Runs one command under strace, or without where ``tracer`` is empty.

        Raises:
            subprocess.TimeoutExpired: it was killed after ``patience`` seconds.
        """
        process = int(self._ask(json.dumps(list(arguments))))
        strace = None
        if tracer:
            strace = subprocess.Popen([*tracer, "-p", str(process)], stderr=subprocess.DEVNULL)
            _wait_until_traced(process, strace)
        late = not self._answers("go", patience)
        if late:
            os.kill(process, signal.SIGKILL)
        code = int(self._read())
        if strace is not None:
            strace.wait(10)
        out, err = (path.read_text("utf-8", "replace") for path in (self._out, self._err))
        if late:
            raise subprocess.TimeoutExpired(list(arguments), patience, out, err)
        return subprocess.CompletedProcess(list(arguments), code, out, err)

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _ask(self, line: str) -> str:
        self._answers(line, 60)
        return self._read()

    def _answers(self, line: str, seconds: float) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _wait_until_traced(process: int, strace: "subprocess.Popen[bytes]") -> None:
    status = Path(f"/proc/{process}/status")
    give_up = time.monotonic() + 20
    while "TracerPid:\t0\n" in status.read_text():
        if strace.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError("strace cannot attach to a command")
        time.sleep(0.001)


def _serve(out: str, err: str) -> None:
    """Reads the arguments of a command, starts it, says its number, and after the next line lets it run and says its
    exit code. Returns in the command."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {GO})
    while line := sys.stdin.readline():
        ready, begun = os.pipe()
        process = os.fork()
        if process == 0:
            sys.argv[1:] = json.loads(line)
            null = os.open(os.devnull, os.O_RDONLY)
            files = [null, *(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for path in (out, err))]
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            os.close(ready)
            # Some systems let a process be traced by its parents alone.
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY_TRACER, 0, 0, 0)
            os.write(begun, b".")
            # No call that is ever made to fail: the first one of a name may be that of a thread.
            signal.sigwait({GO})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {GO})
            os.close(begun)
            return
        os.close(begun)
        os.read(ready, 1)
        os.close(ready)
        print(process, flush=True)
        sys.stdin.readline()
        os.kill(process, GO)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    sys.exit()


def _shorten_deadlines() -> None:
    from astica_sync.remote.deadline import ThreadDeadline

    start = ThreadDeadline.start
    ThreadDeadline.start = lambda self, seconds: start(self, min(seconds, LONGEST_EXCHANGE))  # type: ignore[method-assign]


if __name__ == "__main__":
    from astica_sync.cli.main import main
    from tests.harness.short_pauses import shorten

    # An installed command does not search the current folder for modules.
    sys.path[:] = map(os.path.abspath, sys.path)
    shorten()
    _shorten_deadlines()
    for name in sys.argv[3:]:
        importlib.import_module(name)
    _serve(*sys.argv[1:3])
    os.path.exists(START)
    main()
