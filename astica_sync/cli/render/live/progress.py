"""What a command is doing, on standard error: drawn in place on a terminal, a line every few seconds elsewhere."""

import contextlib
import math
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from astica_sync.cli.render.live import disk_probe
from astica_sync.cli.render.live.can_draw import can_draw
from astica_sync.cli.render.live.database_locks import DatabaseLocks
from astica_sync.cli.render.live.disk_probe import DiskProbe
from astica_sync.cli.render.live.drawn_lines import DrawnLines, call_before_suspension
from astica_sync.cli.render.live.progress_picture import explain_wait, picture, plain_line
from astica_sync.cli.render.messages import print_lines, set_drawn
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.push_output import MOST_FAILED
from astica_sync.cli.render.status_output import twin_line
from astica_sync.cli.render.text import duration, first, number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.clock import local_time
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan

DRAW_EVERY = 0.25
DRAW_AFTER = 0.5
"""What takes less than so many seconds is not shown; short steps with shorter gaps between them count as one."""
FIRST_LINE = 5.0
LINE_EVERY = 10.0
SHORT_PUSH = 10.0
"""What fails is named in the list at the end alone, where that follows in so many seconds."""
SHORTEST_WAIT = 2.0
"""Shorter waits get no line of their own, in seconds."""
LONG_WAIT = 100.0
"""Of longer ones the line says the end as well."""


class Progress(Activity):
    """Shows what is under way while it is under way, and notes; with ``--verbose`` also every step. Shows nothing with
    ``--quiet``. ``close`` it before the command ends and before a question."""

    def __init__(self) -> None:
        super().__init__()
        self._verbosity = verbosity()
        self._terminal = can_draw(sys.stderr)
        self._drawn: DrawnLines | None = None
        self._ended: threading.Event | None = None
        self._busy_since: float | None = None
        self._idle_since = -math.inf
        self._draw_at = 0.0
        self._line_at = 0.0
        self._said_until = 0.0
        self._disk_line_at = 0.0
        self._probe: DiskProbe | None = None
        if self._terminal:
            call_before_suspension(self._erase_at_once)

    def reads(self, folder: Path) -> None:
        """From now on it is said where the disk of this folder does not answer."""
        with self.lock:
            self._probe = DiskProbe(folder, locks=DatabaseLocks(folder))
            self.disk_wait = self._probe.text
            self._start()

    def phase(self, text: str) -> None:
        self._log(text)
        super().phase(text)

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        self._log(f"uploaded {path}")
        super().uploaded(class_title, path, eta)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        self._log(f"removed {path}" if path else f"removed class {class_title}, {number(samples, 'sample')}")
        super().removed(class_title, path, samples, eta)

    def waits(self, seconds: float, why: str) -> None:
        super().waits(seconds, why)
        with self.lock:
            now = self.ticks()
            if self._terminal or seconds < SHORTEST_WAIT or now < self._said_until:
                return
            # One line for each stretch of waiting, however many threads wait through it.
            self._said_until = now + seconds
            self._line_at = now + LINE_EVERY
        until = f", until {local_time(self.wall() + seconds, seconds=True)}" if seconds >= LONG_WAIT else ""
        self.note(f"waiting {duration(seconds)}{until}: {explain_wait(why)}")

    def works(self, text: Callable[[float], str], seconds: float = 0.0) -> None:
        if self.step is None and seconds:
            # It is known to take long.
            self._line_at = self.ticks()
        super().works(text, seconds)

    def note(self, text: str) -> None:
        if self._verbosity > Verbosity.QUIET:
            self._print(safe(text))

    def tick(self) -> None:
        """Shows how things are now."""
        with self.lock:
            if self._verbosity is Verbosity.QUIET or not self._is_due():
                return
            if self._terminal:
                # Not while it is in the background, after Ctrl-Z.
                if can_draw(sys.stderr):
                    self._draw()
            else:
                self._line_at = self.ticks() + LINE_EVERY
                self._disk_line_at = self.ticks() + disk_probe.LINE_EVERY
                print_lines([plain_line(self)], err=True)

    def close(self) -> None:
        """Shows nothing any more, until something is reported again."""
        with self.lock:
            self.finish()
            self._rest()
            self._idle_since = -math.inf
            ended, self._ended = self._ended, None
        if ended is not None:
            ended.set()

    def changed(self) -> None:
        if self.is_busy():
            if self._busy_since is None:
                now = self._begin()
                self._line_at = max(self._line_at, now + FIRST_LINE)
            self._start()
        else:
            # Before the report returns: the result may be printed right after it.
            self._rest()

    def _is_due(self) -> bool:
        now = self.ticks()
        if not self.is_busy():
            self._rest()
            return False
        if self._busy_since is None:
            self._begin()
        if self.disk_wait():
            return self._terminal or now >= self._disk_line_at
        return now >= (self._draw_at if self._terminal else self._line_at)

    def _begin(self) -> float:
        self._busy_since = now = self.ticks()
        if now > self._idle_since + DRAW_AFTER:
            self._draw_at = now + DRAW_AFTER
        return now

    def _rest(self) -> None:
        if self._busy_since is not None:
            self._idle_since = self.ticks()
        self._busy_since = None
        self._erase()

    def _start(self) -> None:
        if self._ended is None and self._verbosity > Verbosity.QUIET:
            self._ended = threading.Event()
            threading.Thread(target=_tick_until, args=(self._ended, self.tick), daemon=True).start()
            if self._probe is not None:
                self._probe.start(self._ended)

    def _draw(self) -> None:
        drawn = self._drawn
        if drawn is None:
            drawn = self._drawn = DrawnLines(sys.stderr)
            set_drawn(self._erase)
        drawn.draw(picture(self, drawn.width))

    def _erase(self) -> None:
        with self.lock:
            drawn, self._drawn = self._drawn, None
            if drawn is not None:
                set_drawn(None)
                drawn.erase()

    def _erase_at_once(self) -> None:
        # Without the lock: another thread may hold it while the terminal stands still.
        drawn, self._drawn = self._drawn, None
        if drawn is not None:
            # What the shell writes from here on is not ours to erase.
            set_drawn(None)
            drawn.erase_in_a_signal_handler()

    def _log(self, text: str) -> None:
        if self._verbosity is Verbosity.VERBOSE:
            self._print(safe(text))

    def _print(self, text: str) -> None:
        # Under the lock, so that nothing is drawn in between.
        with self.lock:
            print_lines([text], err=True)


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Says meanwhile where the disk of this folder does not answer."""
    progress = Progress()
    progress.reads(folder)
    try:
        yield
    finally:
        progress.close()


class PushProgress(Progress):
    """Says before what a push is going to do, and names what fails at once. Where the list at the end is shown in the
    same place, as on a terminal, the failures of a short push are left to that list. ``rejected`` are the uids of
    images that an earlier check has found to be unfit."""

    rejected: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self._first_failed_at: float | None = None
        self._unnamed: list[str] = []
        self._leaves_to_list = _is_one_place()
        self._in_vain: Counter[tuple[str, str]] = Counter()
        """How many uploads of the plan are of images that an earlier check has found to be unfit, by class and path."""

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        kept_back = {upload.uid for refusal in refusals for upload in refusal.uploads}
        in_vain = [one for one in plan.uploads if one.uid in self.rejected and one.uid not in kept_back]
        with self.lock:
            super().planned(plan, refusals, eta)
            self._in_vain = Counter((one.class_title, one.path) for one in in_vain)
            self.total -= len(in_vain)
        removed = 0 if refusals else len(plan.removed)
        unfit = len(in_vain)
        uploads = self.total - removed
        if not self.total and not unfit:
            return
        self._warn_of_twins(plan)
        eta = max(eta, self.end_by_answers() - self.ticks())
        takes = f", about {duration(eta)}" if eta >= 1 else ""
        cannot = f"; {number(unfit, 'image')} cannot be sent" if unfit else ""
        self.note(f"To upload: {number(uploads, 'sample')}, to remove: {number(removed, 'sample')}{takes}{cannot}")

    def _warn_of_twins(self, plan: Plan) -> None:
        """Only those that are uploaded now; the user has seen the others."""
        sent = {upload.uid for upload in plan.uploads}
        twins = [twin for twin in plan.in_several_classes if any(sample.uid in sent for sample in twin)]
        if twins:
            self.note("The same image is in several classes, and is uploaded for each:")
            for line in first((f"  {twin_line(twin)}" for twin in twins), len(twins)):
                self.note(line)

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        with self.lock:
            # An image that was unfit before, and is not any more.
            self.total += self._take_in_vain(class_title, path)
        super().uploaded(class_title, path, eta)

    def failed(self, class_title: str, path: str, reason: str) -> None:
        with self.lock:
            # It fails as it did before, and is no part of what the bar counts.
            is_counted = not self._take_in_vain(class_title, path)
            self._unnamed.append(f"{path}: {reason}")
            if self._first_failed_at is None:
                self._first_failed_at = self.ticks()
        if not self._leaves_to_list or len(self._unnamed) > MOST_FAILED:
            self.name_failures()
        if is_counted:
            super().failed(class_title, path, reason)

    def _take_in_vain(self, class_title: str, path: str) -> bool:
        """Whether this is one of the images that were left out of the total; each is once."""
        if not self._in_vain[class_title, path]:
            return False
        self._in_vain[class_title, path] -= 1
        return True

    def tick(self) -> None:
        since = self._first_failed_at
        if since is not None and self.ticks() - since > SHORT_PUSH:
            self.name_failures()
        super().tick()

    def name_failures(self) -> None:
        """Names what has failed and was not named: no list follows, or the user would wait for it. From here on each
        one is named at once."""
        with self.lock:
            unnamed, self._unnamed = self._unnamed, []
            self._leaves_to_list = False
        for line in unnamed:
            self.note(line)


def _is_one_place() -> bool:
    """Whether results and messages are written to the same terminal or file."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return False


def _tick_until(ended: threading.Event, tick: Callable[[], None]) -> None:
    while not ended.wait(DRAW_EVERY):
        try:
            tick()
        except (OSError, ValueError):
            # The terminal has gone, or its stream is closed.
            return
