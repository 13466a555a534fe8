"""How long a training will probably take, from the earlier ones of the store."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from astica_sync.core.versions.pending_training import USUAL_SECONDS
from astica_sync.core.versions.version import Version
from astica_sync.local.db.journal import Event

MOST_EARLIER = 5
LONGEST = 6 * 3600.0
"""A version that was seen later was not waited for."""


class Expected(NamedTuple):
    """``earlier`` is how many trainings of this store the number is from; 0 where it is what the documentation says."""

    seconds: float
    earlier: int


def expect_training(events: Iterable[Event], versions: Sequence[Version]) -> Expected:
    """The middle one of the last trainings' times, each from the request to the version. ``events`` are those of the
    journal, the newest first."""
    asked: dict[str, list[float]] = {}
    for event in events:
        if event.action == "train" and event.outcome == "done":
            asked.setdefault(event.uid, []).append(event.at)
    times = []
    for version in reversed(versions):
        before = [at for at in asked.get(version.snapshot or "", ()) if at <= version.seen_at]
        if before and version.seen_at - before[0] <= LONGEST:
            times.append(version.seen_at - before[0])
    last = times[:MOST_EARLIER]
    return Expected(statistics.median(last), len(last)) if last else Expected(USUAL_SECONDS, 0)
