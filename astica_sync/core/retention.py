"""Which objects of the backup may go. Nothing else in this program ever loses bytes, so every doubt keeps them."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Claim(StrEnum):
    """Why an object stays; the first that holds is the one that is told."""

    STORE = "in the store"
    MARK = "sent, and not known to be gone from the service"
    SERVICE = "on the service"
    SNAPSHOT = "in a snapshot"
    AGE = "too young"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of the backup: its content hash, its size in bytes, and when it was last heard of (seconds since the
    epoch): the latest of its line in the catalog and whatever the history says of it."""

    content: str
    size: int
    last_at: float


@dataclass(frozen=True, slots=True)
class Claims:
    """The contents that somebody needs, each kind by itself, and the moment before which an object is old enough."""

    store: Container[str]
    marks: Container[str]
    service: Container[str]
    snapshots: Container[str]
    before: float


def find_claim(stored: StoredObject, claims: Claims) -> Claim | None:
    """Why the object stays; None when nobody needs it."""
    content = stored.content
    if content in claims.store:
        return Claim.STORE
    if content in claims.marks:
        return Claim.MARK
    if content in claims.service:
        return Claim.SERVICE
    if content in claims.snapshots:
        return Claim.SNAPSHOT
    # Written so that a time which is no number keeps the object.
    return None if stored.last_at < claims.before else Claim.AGE


def find_prunable(objects: Iterable[StoredObject], claims: Claims) -> Iterator[StoredObject]:
    """The objects that nobody needs."""
    return (stored for stored in objects if find_claim(stored, claims) is None)
