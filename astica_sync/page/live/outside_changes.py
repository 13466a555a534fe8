"""Notices what other programs do to the store, so that the gallery shows it without being asked."""

import asyncio
import contextlib
from collections.abc import Callable

from astica_sync.clock import SystemClock
from astica_sync.local.layout import Layout
from astica_sync.sync.watch.change_queue import ChangeBatch, ChangeQueue
from astica_sync.sync.watch.fs_events import FsEvents

QUIET_SECONDS = 0.4
"""Seconds after the first event until the store is looked at: events come in swarms."""
POLL_SECONDS = 30.0
"""Seconds between two looks at the whole store where the system reports no changes."""


class OutsideChanges:
    """Calls ``on_change`` with what changed in the folders of the store; for the thread of the event loop."""

    def __init__(self, layout: Layout, clock: SystemClock, on_change: Callable[[ChangeBatch], None]) -> None:
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._queue = ChangeQueue(self._wake)
        self._events = FsEvents(layout, self._queue, clock.ticks)
        self._closed = False

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.to_thread(self._events.start)
        try:
            while True:
                polls = bool(self._events.polling_reason)
                try:
                    await asyncio.wait_for(self._woken.wait(), POLL_SECONDS if polls else None)
                except TimeoutError:
                    self._on_change(ChangeBatch(rescan="the system reports no changes here"))
                    continue
                await asyncio.sleep(QUIET_SECONDS)
                self._woken.clear()
                batch = self._queue.take()
                if batch.needs_scan:
                    self._on_change(batch)
        finally:
            self._closed = True
            self._events.stop()

    def _wake(self) -> None:
        if not self._closed:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._woken.set)
