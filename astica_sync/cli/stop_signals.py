"""Whether a signal to stop has arrived, for the thread that draws.

Python runs a signal handler in the main thread alone, once a system call of that thread has returned. Where a disk does
not answer, that may be minutes later, and some file systems keep the signal back for as long.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Collection, Iterator

_watched: list["_Arrivals"] = []
"""Those that are looked for now; of several the last."""


class _Arrivals:
    """The signals that have arrived, whether or not their handlers have run."""

    def __init__(self, numbers: Collection[int]) -> None:
        self._numbers = frozenset(numbers)
        self._lock = threading.Lock()
        self._reader, self.writer = os.pipe()
        for end in (self._reader, self.writer):
            os.set_blocking(end, False)
        self._have_arrived = False
        self._is_closed = False

    def look(self) -> bool:
        with self._lock:
            if not self._have_arrived and not self._is_closed:
                self._have_arrived = self._was_handled() or self._is_pending()
            return self._have_arrived

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            os.close(self._reader)
            os.close(self.writer)

    def _was_handled(self) -> bool:
        """Whether the interpreter has written one: it does so at once, also while a system call goes on."""
        with contextlib.suppress(BlockingIOError):
            return not self._numbers.isdisjoint(os.read(self._reader, 4096))
        return False

    def _is_pending(self) -> bool:
        """Whether one waits for the main thread, which cannot take it. A thread sees those that it blocks."""
        if threading.current_thread() is threading.main_thread():
            return False
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        return not self._numbers.isdisjoint(signal.sigpending())


@contextlib.contextmanager
def stop_signals_watched(numbers: Collection[int]) -> Iterator[None]:
    """Makes ``stop_signal_arrived`` look for these signals; for the main thread."""
    arrivals = _Arrivals(numbers)
    before = signal.set_wakeup_fd(arrivals.writer, warn_on_full_buffer=False)
    _watched.append(arrivals)
    try:
        yield
    finally:
        _watched.remove(arrivals)
        signal.set_wakeup_fd(before)
        arrivals.close()


def stop_signal_arrived() -> bool:
    """Whether a signal to stop has arrived, also before its handler has run. A thread that calls this, other than the
    main thread, takes none of these signals from then on."""
    return any(arrivals.look() for arrivals in _watched[-1:])
