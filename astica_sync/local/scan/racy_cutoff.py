"""The cut-off for racy files: the time on the clock that stamps the files from which they count as read.

A file is racy, as git calls it, if its times are too close to the cut-off to prove it unchanged. The rule itself is
``_NOT_RACY`` in ``local/db/index.py``.
"""

from astica_sync.clock import Clock
from astica_sync.local.db.index import COARSE_GRAIN_NS, GRAIN_NS, TICK_NS
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout


class RacyCutoff:
    """``ns`` is the time from which files count as read, in nanoseconds; 0 before the first ``update``.

    With ``patient`` it waits until the clock can tell later changes apart, where the clock is fine and the wait short.
    """

    def __init__(self, layout: Layout, files: FileSystem, clock: Clock, *, patient: bool) -> None:
        self._layout, self._files, self._clock = layout, files, clock
        self.patient = patient
        self.ns = 0

    def update(self, newest: int) -> None:
        """Called before files are read of which the last was changed at ``newest`` (nanoseconds)."""
        if not self.ns:
            self.ns = self._now()
        if self.patient and newest % 1_000_000_000 and newest >= self.ns - GRAIN_NS:
            rest = newest + GRAIN_NS + TICK_NS - self._now()
            if 0 < rest <= GRAIN_NS + TICK_NS:
                self._clock.sleep(rest / 1e9)
            self.ns = self._now()

    def _now(self) -> int:
        try:
            return self._files.time_ns(self._layout.state)
        except OSError:
            # The process's clock may be ahead of the file system's; a cut-off too early only costs a second reading.
            return int(self._clock.now() * 1e9) - COARSE_GRAIN_NS
