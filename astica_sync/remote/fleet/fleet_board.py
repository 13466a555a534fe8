"""Where the processes that share a request budget write what they do: in records of their own on its server.

These have nothing to do with how requests are counted. What is written has an expiry, and is bounded in number and
size; what is read may come from anyone who can write to the server.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from astica_sync.core.fleet.announcement import MOST_KEPT, Announcement, Fleet, announcement_of, as_data, fleet_of

MOST_NAMED = 40
"""Characters of the name under which a process writes."""


@dataclass(frozen=True, slots=True)
class BoardRecord:
    """One record as the server gives it: the text, and for how many seconds it has been there."""

    text: object
    seen: object


class FleetBoard(Protocol):
    """One connection to a server, made with the first call; for one thread at a time.

    Each method raises ``ServerAway`` or ``ServerUnusable``, as a ``BudgetServer``.
    """

    def write(self, name: str, who: str, text: str, gone: str = "") -> None:
        """Replaces what ``who`` wrote for the budget called ``name``, and removes what ``gone`` did."""
        ...

    def read(self, name: str) -> list[BoardRecord]:
        """What was written last, ``MOST_KEPT`` at most."""
        ...

    def close(self) -> None: ...


def text_of(announcement: Announcement) -> str:
    """What is written: ASCII, so that any server keeps it as it is."""
    return json.dumps(as_data(announcement), separators=(",", ":"))


def fleet_on(records: Iterable[BoardRecord]) -> Fleet:
    """The processes; what is no announcement is left out."""
    found = (_announcement_in(record) for record, _ in zip(records, range(MOST_KEPT), strict=False))
    return fleet_of(one for one in found if one is not None)


def _announcement_in(record: BoardRecord) -> Announcement | None:
    if not isinstance(record.text, str):
        return None
    try:
        return announcement_of(json.loads(record.text), _seconds(record.seen))
    except (ValueError, RecursionError):
        return None


def _seconds(seen: object) -> object:
    return float(seen) if isinstance(seen, str) else seen
