"""A command on a terminal of a given size, and what a user sees there."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pyte

from tests.harness.shell import Shell

PATIENCE = 60.0


class Terminal:
    """A process on a pseudo-terminal; ``screen`` is the emulator that reads what it writes.

    Leaving the context ends the process. ``program`` is a file that is run in place of ``astica-sync``.
    """

    def __init__(
        self, shell: Shell, *arguments: str | Path, columns: int = 80, lines: int = 24, program: Path | None = None
    ) -> None:
        # A terminal that tells no size has one all the same.
        self.screen = pyte.HistoryScreen(columns or 80, lines or 24, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self._leader, follower = pty.openpty()
        self._set_size(columns, lines)
        shell.environ.pop("COLUMNS", None)
        shell.environ.setdefault("TERM", "xterm-256color")
        self.process: subprocess.Popen[str] = shell.start(
            *arguments,
            program=program,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
            # Its controlling terminal, so that Ctrl-C and Ctrl-Z arrive as signals.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(follower)
        self.written = b""
        """Everything that the process wrote."""

    def hang_up(self) -> None:
        """Closes the terminal, as the end of a window or of a connection does."""
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self._leader)
        os.close(null)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._leader)

    @property
    def rows(self) -> list[str]:
        """The lines of the screen, without spaces at their ends and without empty ones at the bottom."""
        rows = [row.rstrip() for row in self.screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def picture(self) -> str:
        """The screen as text."""
        return "\n".join(self.rows)

    def read(self, seconds: float) -> bool:
        """Reads what comes within so many seconds; False once the process has closed the terminal."""
        if select.select([self._leader], [], [], seconds)[0]:
            try:
                piece = os.read(self._leader, 65536)
            except OSError:
                # How a terminal reports that its other end is closed.
                return False
            self.written += piece
            self._stream.feed(piece)
        return True

    def until(self, shows: Callable[[str], bool]) -> str:
        """Waits until the screen shows that; returns the screen.

        Raises:
            AssertionError: it never does.
        """
        give_up = time.monotonic() + PATIENCE
        while not shows(self.picture):
            going = self.read(0.05)
            assert time.monotonic() < give_up and (going or shows(self.picture)), self.picture
        return self.picture

    def end(self) -> int:
        """Waits for the end of the process; returns its exit code."""
        give_up = time.monotonic() + PATIENCE
        while self.read(0.05):
            assert time.monotonic() < give_up, self.picture
        return self.process.wait(PATIENCE)

    def type(self, keys: str) -> None:
        os.write(self._leader, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        self._set_size(columns, lines)
        self.screen.resize(lines, columns)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def break_long_lines(self, columns: int) -> None:
        """Makes the terminal narrower as most terminals do: what no longer fits into a line goes on in the next one,
        and the cursor stays on its character."""
        screen, cells = self.screen, []
        cursor = (screen.cursor.y, screen.cursor.x)
        for y in range(max(len(self.rows), cursor[0] + 1)):
            row = [screen.buffer[y][x] for x in range(len(screen.display[y].rstrip()))]
            pieces = [row[start : start + columns] for start in range(0, len(row), columns)] or [[]]
            if y == cursor[0]:
                place = (len(cells) + cursor[1] // columns, cursor[1] % columns)
            cells += pieces
        # The top goes into the history where there are too many.
        gone = max(0, place[0] - screen.lines + 1)
        self._set_size(columns, screen.lines)
        screen.resize(screen.lines, columns)
        screen.erase_in_display(2)
        for y, piece in enumerate(cells[gone : gone + screen.lines]):
            screen.buffer[y].update(enumerate(piece))
        screen.cursor.y, screen.cursor.x = place[0] - gone, place[1]
        os.killpg(self.process.pid, signal.SIGWINCH)

    def set_usual(self) -> None:
        """Sets the terminal as a shell does for its own line."""
        state = termios.tcgetattr(self._leader)
        state[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(self._leader, termios.TCSANOW, state)

    def is_raw(self) -> bool:
        """Whether keys reach the program one by one, and are not shown."""
        return not termios.tcgetattr(self._leader)[3] & (termios.ICANON | termios.ECHO)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
