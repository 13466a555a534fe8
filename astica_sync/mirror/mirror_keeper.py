"""Copies the backup to its mirror every so often while a watcher runs; a mirror that fails stops nothing else."""

import threading
from collections.abc import Callable

from astica_sync.clock import SystemClock
from astica_sync.core.mirror.next_copy import next_copy_at
from astica_sync.errors import AsticaSyncError, Interrupted
from astica_sync.local.layout import Layout
from astica_sync.mirror.mirror_run import Mirrored, mirror_backup
from astica_sync.mirror.mirror_status import read_record
from astica_sync.mirror.open_place import open_place


class MirrorKeeper:
    """A thread that ends with the clock's stop."""

    def __init__(
        self,
        layout: Layout,
        address: str,
        every: float,
        clock: SystemClock,
        *,
        copied: Callable[[Mirrored], None],
        failed: Callable[[AsticaSyncError], None],
    ) -> None:
        """``every`` is in seconds. ``copied`` and ``failed`` are called in the thread.

        parameters: what is copied, where to, when, and the two things that the caller shows.
        """
        self._layout, self._address, self._every, self._clock = layout, address, every, clock
        self._copied, self._failed = copied, failed
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Waits for what is under way; at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        failed_at: float | None = None
        while True:
            now = self._clock.now()
            record = read_record(self._layout)
            done_at = record.done_at if record is not None and record.place == self._place_name() else None
            if done_at is not None and done_at > now:
                # The clock was wrong then: the next copy would never be due.
                done_at = None
            due = next_copy_at(now, self._every, done_at, failed_at)
            try:
                if due > now:
                    self._clock.sleep(due - now)
                    continue
                place = open_place(self._address)
                done = mirror_backup(self._layout, place, self._clock, stopping=self._clock.stopping.is_set)
            except Interrupted:
                return
            except AsticaSyncError as error:
                failed_at = self._clock.now()
                self._failed(error)
            else:
                failed_at = None
                self._copied(done)

    def _place_name(self) -> str:
        try:
            return open_place(self._address).name
        except AsticaSyncError:
            # What is wrong is said when a copy is due.
            return ""
