"""Which objects of the backup may be pruned. Only pruning ever deletes bytes, so an object is kept in case of doubt."""

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum


class Claim(StrEnum):
    """Why an object is kept. Where several hold, the first one in this order is reported."""

    STORE = "in the store"
    MARK = "sent, and not known to be removed from the service"
    SERVICE = "on the service"
    SNAPSHOT = "in a snapshot"
    AGE = "too young"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of the backup: its content hash, its size in bytes, and the time of the latest catalog line or history
    entry about it, in seconds since the epoch."""

    content: str
    size: int
    last_at: float


@dataclass(frozen=True, slots=True)
class Claims:
    """The content hashes that are in use, by kind of use. Objects last used before ``before`` are old enough to be
    pruned."""

    store: Container[str]
    marks: Container[str]
    service: Container[str]
    snapshots: Container[str]
    before: float


def find_claim(stored: StoredObject, claims: Claims) -> Claim | None:
    """Why the object is kept; None if it may be pruned."""
    content = stored.content
    if content in claims.store:
        return Claim.STORE
    if content in claims.marks:
        return Claim.MARK
    if content in claims.service:
        return Claim.SERVICE
    if content in claims.snapshots:
        return Claim.SNAPSHOT
    # Written so that NaN keeps the object.
    return None if stored.last_at < claims.before else Claim.AGE
