"""Which image was at a path before others, so that it can come back in place of the file that is there now."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from astica_sync.core.find_moved_images import UPLOADS, PastEvent


def find_overwritten(
    paths: Mapping[str, tuple[str, Sequence[str]]], events: Iterable[PastEvent], is_marked: Callable[[str], bool]
) -> dict[str, str]:
    """The uid of the image to bring back to each of these paths; a path is left out where what is there now came first,
    or where nothing is known of either.

    An image that was there before the first of the events comes before one that was uploaded by them; of these the one
    that was uploaded first.

    Args:
        paths: of each path the uid of the image that is there now, "" where it is none or a copy of another file, and
            the uids of those that were there and are nowhere in the store.
        events: what was done since a time, the oldest first.
        is_marked: whether the journal has the sample of a uid, and not as removed.
    """
    first: dict[str, int] = {}
    for number, event in enumerate(events):
        first.setdefault(event.uid, number if event.action in UPLOADS else -1)

    def arrival(uid: str) -> float:
        return first.get(uid, -1 if is_marked(uid) else math.inf)

    found: dict[str, str] = {}
    for path, (now, before) in paths.items():
        oldest = min(before, key=arrival)
        if arrival(oldest) < (arrival(now) if now else math.inf):
            found[path] = oldest
    return found
