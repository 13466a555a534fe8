"""Lines on a terminal that are drawn again and again in place, and erased at the end."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from astica_sync.cli.render.live.in_encoding import InEncoding

if TYPE_CHECKING:
    from rich.console import RenderableType

ERASE = "\r\x1b[J"
"""From the cursor to the end of the screen."""


class DrawnLines:
    """What is drawn between two lines of output.

    Between two drawings the cursor stands where the first line begins. When a terminal is made narrower, most break
    the lines that are too long and some cut them; all of them move the cursor with the text it is on. So what is
    erased is the whole of the old picture and nothing else, however many lines it has become.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._stream = stream
        self._console = Console(file=stream, highlight=False)

    @property
    def width(self) -> int:
        return self._console.width

    def draw(self, content: "RenderableType") -> None:
        """Draws in place of what was drawn; as many lines as the terminal has."""
        with self._console.capture() as capture:
            self._console.print(InEncoding(content))
        lines = capture.get().removesuffix("\n").split("\n")[: max(1, self._console.height)]
        back = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
        self._write(ERASE + "\n".join(lines) + back + "\r")

    def erase(self) -> None:
        self._write(ERASE)

    def erase_in_a_signal_handler(self) -> None:
        """As ``erase``, also while this thread writes to the stream."""
        with contextlib.suppress(OSError, ValueError):
            os.write(self._stream.fileno(), ERASE.encode())

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def call_before_suspension(erase: Callable[[], None]) -> None:
    """Calls ``erase`` before Ctrl-Z suspends the program: the shell's own lines come where the cursor is."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
        return

    def suspend(number: int, frame: FrameType | None) -> None:
        erase()
        # In the usual way: a program that no shell can continue is not stopped by it.
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, suspend)

    signal.signal(signal.SIGTSTP, suspend)
