"""Waits, notes and steps on standard error, for every command that has no progress bar."""

import sys
import threading
import time

import click

from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import duration, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.clock import local_time
from astica_sync.sync.progress import ProgressListener

SHORTEST_WAIT = 2.0
"""Shorter waits are not mentioned, in seconds."""
LONG_WAIT = 100.0
"""Of longer ones the end is printed as well."""


class Waits(ProgressListener):
    """Prints one line for each stretch of waiting, however many threads wait through it; notes; and with
    ``--verbose`` every step. Prints nothing with ``--quiet``."""

    def __init__(self) -> None:
        self._verbosity = verbosity()
        self._lock = threading.Lock()
        self._until = 0.0
        # A progress line may be there; it is drawn again below.
        self._clear = "\r\033[K" if sys.stderr.isatty() else ""

    def phase(self, text: str) -> None:
        self._step(text)

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        self._step(f"uploaded {path}")

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        self._step(f"removed {path}" if path else f"removed class {class_title}, {samples:,} samples")

    def waits(self, seconds: float, why: str) -> None:
        now = time.monotonic()
        with self._lock:
            if seconds < SHORTEST_WAIT or now < self._until:
                return
            self._until = now + seconds
        until = f", until {local_time(time.time() + seconds, seconds=True)}" if seconds >= LONG_WAIT else ""
        self.note(f"waiting {duration(seconds)}{until}: {why}")

    def note(self, text: str) -> None:
        if self._verbosity > Verbosity.QUIET:
            self._print(safe(text))

    def close(self) -> None:
        """Removes what is drawn on the terminal, so that a question can be asked."""

    def _step(self, text: str) -> None:
        if self._verbosity is Verbosity.VERBOSE:
            self._print(safe(text))

    def _print(self, text: str) -> None:
        click.echo(self._clear, nl=False, err=True)
        print_lines([text], err=True)
