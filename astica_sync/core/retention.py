"""Which objects of the backup may be pruned. Only pruning ever deletes bytes, so an object is kept in case of doubt."""

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from astica_sync.core.model import CONTENT_LENGTH


class Claim(StrEnum):
    """Why an object is kept. Where several hold, the first one in this order is reported."""

    STORE = "in the store"
    MARK = "sent, and not known to be removed from the service"
    SERVICE = "on the service"
    SNAPSHOT = "in a snapshot"
    AGE = "too young"
    OTHER_MODEL = "sent to another model, and not known to be removed from it"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of the backup: its content hash, its size in bytes, and the time of the latest catalog line or history
    entry about it, in seconds since the epoch."""

    content: str
    size: int
    last_at: float


class SentElsewhere:
    """Finds in the history, read from its newest entry to the oldest, which samples of other models may still exist.

    A store that was bound to another model asks the present one alone, and forgets the marks of the first: the history
    is all that is left of them.
    """

    def __init__(self) -> None:
        self._removed: dict[str, set[int | None]] = {}
        self.contents: set[str] = set()

    def note_removal(self, uid: str, sample_id: int | None, *, is_last_copy: bool, is_done: bool) -> None:
        """A removal was sent. Only ``is_last_copy`` shows that no sample of the uid was to stay."""
        removed = self._removed.get(uid, set())
        if not is_done:
            if sample_id not in removed:
                self.contents.add(uid[:CONTENT_LENGTH])
        elif is_last_copy:
            self._removed[uid] = removed | {sample_id}

    def note_sample(self, uid: str) -> None:
        """The sample was sent to another model, or seen there."""
        if uid not in self._removed:
            self.contents.add(uid[:CONTENT_LENGTH])


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
