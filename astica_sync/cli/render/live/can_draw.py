"""Whether the terminal is ours to draw on."""

import os
from typing import TextIO

from astica_sync.cli.render.messages import has_no_cursor


def is_in_foreground(fd: int) -> bool:
    """Whether this process may use the terminal: what one in the background draws is in the way of the shell, and one
    that sets the terminal is stopped."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        # Not the terminal of this process, as where a program gives it one to write to.
        return True


def can_draw(stream: TextIO | None) -> bool:
    """Whether lines on this stream can be drawn again in place."""
    if stream is None or not stream.isatty() or has_no_cursor():
        return False
    return is_in_foreground(stream.fileno())
