"""When the watcher does what. Pure: every moment is an argument, in seconds on a clock that never goes back."""

from dataclasses import dataclass
from enum import StrEnum

COALESCE = 0.1
"""Events that come this close together are one look."""
LOOK_SHARE = 0.1
"""The share of its time that the watcher looks at folders while events keep coming."""
POLL_SHARE = 0.02
"""The same where nothing tells of changes and it looks of its own accord."""
POLL_FLOOR = 1.0
ROUND_GAP = 2.0
"""Between two rounds at least; each costs one request."""
ROUND_SHARE = 0.25
FIRST_REST = 2.0
LONGEST_REST = 300.0


class Action(StrEnum):
    """What is due: *round* is the whole cycle with an observation, *look* a scan of what was touched, *send* the next
    piece of the backlog."""

    ROUND = "round"
    LOOK = "look"
    SEND = "send"
    WAIT = "wait"


def rest_after(failures: int) -> float:
    """How long to rest after so many failures in a row, in seconds: 2, 4, 8 … up to five minutes."""
    return min(LONGEST_REST, FIRST_REST * 2.0 ** min(max(failures - 1, 0), 16))


def poll_pause(cost: float) -> float:
    """How long to wait between two scans of the whole store, of which one takes ``cost`` seconds."""
    return max(POLL_FLOOR, cost / POLL_SHARE)


@dataclass(slots=True)
class Scheduler:
    """What is due when. ``observe_every`` is how long the service goes unobserved at most, in seconds; ``polls``
    says that nothing tells of changes."""

    observe_every: float
    polls: bool = False
    round_at: float = 0.0
    look_at: float | None = None
    _looked: float = float("-inf")
    _look_cost: float = 0.0
    _rounded: float = float("-inf")
    _round_cost: float = 0.0

    def touched(self, now: float) -> None:
        """Something changed in a folder, or may have."""
        at = max(now + COALESCE, self._looked + self._look_cost / LOOK_SHARE)
        self.look_at = at if self.look_at is None else min(self.look_at, at)

    def look_again(self, at: float) -> None:
        """A file is going to have settled at that moment."""
        self.look_at = at if self.look_at is None else min(self.look_at, at)

    def want_round(self, at: float) -> None:
        """An observation is wanted at that moment, or sooner."""
        at = max(at, self._rounded + ROUND_GAP, self._rounded + self._round_cost / ROUND_SHARE)
        self.round_at = min(self.round_at, at)

    def looked(self, now: float, cost: float) -> None:
        """A look has ended that took ``cost`` seconds."""
        self._looked, self._look_cost = now, cost
        self.look_at = now + poll_pause(cost) if self.polls else None

    def rounded(self, now: float, cost: float, scan_cost: float) -> None:
        """A round has ended; the scan in it was a look as well."""
        self._rounded, self._round_cost = now, cost
        self.round_at = now + self.observe_every
        self.looked(now, scan_cost)
        # That was the whole store; what is touched next is a folder.
        self._look_cost = 0.0

    def next(self, now: float, backlog: bool) -> tuple[Action, float]:
        """What to do now, or until when to wait."""
        if self.round_at <= now:
            return Action.ROUND, now
        if self.look_at is not None and self.look_at <= now:
            return Action.LOOK, now
        # A look that is due in a moment comes first: a piece of the backlog takes seconds.
        if backlog and (self.look_at is None or self.look_at > now + COALESCE):
            return Action.SEND, now
        return Action.WAIT, min(self.round_at, self.look_at if self.look_at is not None else self.round_at)
