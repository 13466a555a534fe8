"""The moment from which what a scan reads counts as read, on the clock that stamps the files."""

from astica_sync.clock import Clock
from astica_sync.local.db.index import COARSE_GRAIN_NS, GRAIN_NS, TICK_NS
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout


class RacyCutoff:
    """``ns`` is chosen when something is first read, and again by a ``patient`` scan: it lets pass what the clock
    cannot tell apart, where a fine clock makes that short."""

    def __init__(self, layout: Layout, fs: FileSystem, clock: Clock, patient: bool) -> None:
        self._layout, self._fs, self._clock = layout, fs, clock
        self.patient = patient
        self.ns = 0

    def choose(self, newest: int) -> None:
        """What is read next was changed at ``newest`` (nanoseconds) the latest."""
        if not self.ns:
            self.ns = self._now()
        if self.patient and newest % 1_000_000_000 and newest >= self.ns - GRAIN_NS:
            rest = newest + GRAIN_NS + TICK_NS - self._now()
            if 0 < rest <= GRAIN_NS + TICK_NS:
                self._clock.sleep(rest / 1e9)
            self.ns = self._now()

    def _now(self) -> int:
        try:
            return self._fs.time_ns(self._layout.state)
        except OSError:
            # The process's clock may run ahead of the file system's; too early only costs a second reading.
            return int(self._clock.now() * 1e9) - COARSE_GRAIN_NS
