"""Where the processes that share a request budget write what they do: in records of their own on its server.

These have nothing to do with how requests are counted. What is written has an expiry, and is bounded in number and
size; what is read may come from anyone who can write to the server.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from astica_sync.core.fleet.announcement import MOST_KEPT, Announcement, announcement_of, as_data
from astica_sync.core.fleet.fleet import Fleet, fleet_of
from astica_sync.core.fleet.store_claim import StoreClaim, claim_data, claim_of

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


def store_text_of(claim: StoreClaim) -> str:
    """What is written of a store, as ``text_of``."""
    return json.dumps(claim_data(claim), separators=(",", ":"))


def fleet_on(records: Iterable[BoardRecord]) -> Fleet:
    """The processes and the stores; what is neither is left out."""
    found = [_entry_in(record) for record, _ in zip(records, range(MOST_KEPT), strict=False)]
    return fleet_of(
        (one for one in found if isinstance(one, Announcement)), (one for one in found if isinstance(one, StoreClaim))
    )


def claims_on(records: Iterable[BoardRecord]) -> tuple[StoreClaim, ...]:
    """The stores alone."""
    return fleet_on(records).stores


def _entry_in(record: BoardRecord) -> Announcement | StoreClaim | None:
    if not isinstance(record.text, str):
        return None
    try:
        data, seen = json.loads(record.text), _seconds(record.seen)
        return claim_of(data, seen) or announcement_of(data, seen)
    except (ValueError, RecursionError):
        return None


def _seconds(seen: object) -> object:
    return float(seen) if isinstance(seen, str) else seen
