"""What each process of ``worker_pool`` does: it reads requests from its standard input and writes an answer to each.

It reads nothing else, writes no file and has no secrets. The system bounds its memory (bytes) and its processor time
(seconds per request), which are its two arguments.
"""

import contextlib
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from typing import BinaryIO

from astica_sync.local.child_process import read_message, write_message


def run(answer: Callable[[bytes], bytes]) -> None:
    """Answers requests with ``answer`` until they end."""
    bound(int(sys.argv[1]))
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[2]), answer)
    except BrokenPipeError:
        # The other end is closed. What is left in the buffer must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def bound(memory: int) -> None:
    """Limits this process. Where the system lacks one limit, the others still apply."""
    # If memory runs out after all, the system must kill this process and not the one that has the journal open.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    # Ignored signals are inherited, and this one must end the process when its time is up.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    warnings.simplefilter("ignore")


def serve(questions: BinaryIO, answers: BinaryIO, seconds: float, answer: Callable[[bytes], bytes]) -> None:
    """Answers each request until they end."""
    write_message(answers, b"")
    with contextlib.suppress(EOFError):
        while True:
            request = read_message(questions)
            signal.setitimer(signal.ITIMER_PROF, seconds)
            result = answer(request)
            signal.setitimer(signal.ITIMER_PROF, 0)
            write_message(answers, result)
