"""When the watcher does what. Pure: every time is an argument, in seconds on a monotonic clock."""

from dataclasses import dataclass
from enum import StrEnum

COALESCE = 0.1
"""Events within so many seconds of each other lead to one scan."""
SCAN_SHARE = 0.1
"""The largest share of its time that the watcher spends scanning while events keep coming."""
POLL_SHARE = 0.02
"""The same where the system reports no changes, so that scans are repeated at an interval."""
MIN_POLL_INTERVAL = 1.0
ROUND_GAP = 2.0
"""The shortest time between two rounds; each costs one request."""
ROUND_SHARE = 0.25
FOREIGN_GAP = 5.0
"""The shortest time from a round to one for which another process is the reason: its scan may take minutes and find
something in each second."""
FIRST_RETRY = 2.0
MAX_RETRY = 300.0


class WatchAction(StrEnum):
    """What is due: *round* is a full cycle with an observation, *scan* a scan of the folders that changed, *send* the
    next batch of uploads."""

    ROUND = "round"
    SCAN = "scan"
    SEND = "send"
    WAIT = "wait"


def retry_delay(failures: int) -> float:
    """The pause after so many failures in a row, in seconds: 2, 4, 8 … up to five minutes."""
    return min(MAX_RETRY, FIRST_RETRY * 2.0 ** min(max(failures - 1, 0), 16))


def poll_interval(cost: float) -> float:
    """The pause between two scans of the whole store, each of which takes ``cost`` seconds."""
    return max(MIN_POLL_INTERVAL, cost / POLL_SHARE)


@dataclass(slots=True)
class Scheduler:
    """What is due when. ``observe_every`` is the longest time between two observations, in seconds; ``polls`` means
    that the system does not report changes."""

    observe_every: float
    polls: bool = False
    round_at: float = 0.0
    scan_at: float | None = None
    index_mark: str | None = None
    """The index's ``change_mark`` as this process knows it; None before its first scan."""
    _scanned: float = float("-inf")
    _scan_cost: float = 0.0
    _last_round: float = float("-inf")
    _round_cost: float = 0.0

    def changed(self, now: float) -> None:
        """Something in a folder changed, or may have changed."""
        self.request_scan(max(now + COALESCE, self._scanned + self._scan_cost / SCAN_SHARE))

    def request_scan(self, at: float) -> None:
        """A scan is needed at that time, or earlier."""
        self.scan_at = at if self.scan_at is None else min(self.scan_at, at)

    def request_round(self, at: float) -> None:
        """An observation is needed at that time, or earlier; the gap between two rounds is kept."""
        at = max(at, self._last_round + ROUND_GAP, self._last_round + self._round_cost / ROUND_SHARE)
        self.round_at = min(self.round_at, at)

    def index_has(self, mark: str, now: float) -> None:
        """The index has this mark. Where it is another one than after the last scan of this process, another process
        has scanned: what it has found is no change any more to the next scan here, so a round looks at all."""
        if self.index_mark not in (None, mark):
            self.request_round(max(now, self._last_round + FOREIGN_GAP))
        self.index_mark = mark

    def scan_done(self, now: float, cost: float) -> None:
        """A scan has ended that took ``cost`` seconds."""
        self._scanned, self._scan_cost = now, cost
        self.scan_at = now + poll_interval(cost) if self.polls else None

    def round_done(self, now: float, cost: float, scan_cost: float) -> None:
        """A round has ended; it contained a scan of the whole store."""
        self._last_round, self._round_cost = now, cost
        self.round_at = now + self.observe_every
        self.scan_done(now, scan_cost)
        # That was the whole store; the next change concerns one folder, so its scan need not wait as long.
        self._scan_cost = 0.0

    def next_action(self, now: float, backlog: bool) -> tuple[WatchAction, float]:
        """What to do now, or until when to wait."""
        if self.round_at <= now:
            return WatchAction.ROUND, now
        if self.scan_at is not None and self.scan_at <= now:
            return WatchAction.SCAN, now
        # A scan that is due soon comes first: a batch of the backlog takes seconds.
        if backlog and (self.scan_at is None or self.scan_at > now + COALESCE):
            return WatchAction.SEND, now
        return WatchAction.WAIT, min(self.round_at, self.scan_at if self.scan_at is not None else self.round_at)
