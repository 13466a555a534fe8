"""Calls that may hang in the network, in a thread of their own, so that Ctrl-C ends the command."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from astica_sync.clock import SystemClock
from astica_sync.errors import Interrupted

GRACE = 6.0
"""How long a call may go on after the user stopped the command, in seconds."""
_POLL = 0.2

T = TypeVar("T")


def call_stoppable(work: Callable[[], T], clock: SystemClock) -> T:
    """What ``work`` returns or raises.

    Raises:
        Interrupted: the user asked to stop, and ``work`` has not ended in time.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            future.set_exception(error)

    thread = threading.Thread(target=run, name="inbox", daemon=True)
    thread.start()
    left = GRACE
    while thread.is_alive():
        thread.join(_POLL)
        if clock.stopping.is_set():
            left -= _POLL
        if left <= 0 and thread.is_alive():
            raise Interrupted("stopped by the user", "the same command goes on where it was")
    return future.result()
