"""Says why nothing happens, for commands that have no progress bar of their own."""

import sys
import threading
import time

import click

from astica_sync.cli.render.text import duration, safe
from astica_sync.sync.progress import ProgressListener

WORTH_TELLING = 2.0


class Waits(ProgressListener):
    """One line on standard error for each stretch of waiting, however many threads wait through it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        # A progress line may stand there; it is drawn again below.
        self._clear = "\r\033[K" if sys.stderr.isatty() else ""

    def waits(self, seconds: float, why: str) -> None:
        now = time.monotonic()
        with self._lock:
            if seconds < WORTH_TELLING or now < self._until:
                return
            self._until = now + seconds
        click.echo(f"{self._clear}waiting {duration(seconds)}: {safe(why)}", err=True)
