"""Keys that a user presses while a view is drawn: a thread reads them one by one, without Return."""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any

from astica_sync.cli.render.live.can_draw import is_in_foreground

READ_EVERY = 0.25
MOST_KEYS = 4096
MOST_TYPED = 4
"""More bytes at once are not typed, but pasted."""


class Keyboard:
    """Reads keys from standard input until it is closed, and gives the terminal back as it was: at the end, and while
    the program is suspended (Ctrl-Z).

    Args:
        actions: what to do at a key; called in the thread that reads.
        suspend: erases what is drawn, before the program is suspended.
        resume: draws it again.
    """

    def __init__(
        self, actions: Mapping[str, Callable[[], None]], suspend: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._actions = actions
        self._suspend, self._resume = suspend, resume
        self._fd = sys.stdin.fileno()
        self._usual: list[Any] = termios.tcgetattr(self._fd)
        self._ended = threading.Event()
        self._stop_requested = False
        self._signal_before: Any = None
        self._thread = threading.Thread(target=self._read, name="astica-sync-keys", daemon=True)

    def __enter__(self) -> "Keyboard":
        # In the handler there is no more than this, since it interrupts any code.
        self._signal_before = signal.signal(signal.SIGTSTP, self._request_stop)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=1.0)
        self._set_usual()
        signal.signal(signal.SIGTSTP, self._signal_before)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requested = True

    def _read(self) -> None:
        while not self._ended.is_set():
            if self._stop_requested:
                self._stop_requested = False
                self._stop()
            if not is_in_foreground(self._fd):
                self._ended.wait(READ_EVERY)
                continue
            self._set_raw()
            try:
                if select.select([self._fd], [], [], READ_EVERY)[0]:
                    pressed = os.read(self._fd, MOST_KEYS)
                    if not pressed:
                        # The terminal has gone.
                        return
                    self._handle(pressed)
            except OSError:
                return

    def _handle(self, pressed: bytes) -> None:
        if pressed.startswith(b"\x1b") or len(pressed) > MOST_TYPED:
            # An arrow or function key, or a text that was pasted: its letters are no keys.
            return
        for key in pressed.decode("utf-8", "replace"):
            action = self._actions.get(key.lower())
            if action is not None:
                action()

    def _stop(self) -> None:
        """Stops this process as Ctrl-Z does by default; returns when it is continued."""
        self._suspend()
        self._set_usual()
        # To this thread: of a signal to the process it would not be sure that this thread stops before it goes on.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        while not is_in_foreground(self._fd) and not self._ended.wait(READ_EVERY):
            pass
        self._set_raw()
        self._resume()

    def _set_raw(self) -> None:
        """Also after a shell has set the terminal as it likes it."""
        with contextlib.suppress(termios.error, OSError):
            if termios.tcgetattr(self._fd)[3] & (termios.ICANON | termios.ECHO):
                tty.setcbreak(self._fd, termios.TCSANOW)

    def _set_usual(self) -> None:
        with contextlib.suppress(termios.error, OSError):
            if is_in_foreground(self._fd):
                termios.tcsetattr(self._fd, termios.TCSANOW, self._usual)
