"""What a store announces of itself to the other stores of its model, and where two of them contradict each other.

What can write to the budget server can write anything, so every text and number is checked here before it is shown.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from astica_sync.core.fleet.announcement import (
    LONGEST_SECONDS,
    MOST_COUNT,
    MOST_NAME,
    clean_number,
    clean_text,
    clean_whole,
)
from astica_sync.core.model import fold_title

KIND = "store"
"""What a record of this kind has in place of the name of a machine."""
MOST_TITLES_CHARACTERS = 1800
"""Of the titles that are written, as JSON; the others are counted."""
MOST_TITLES = 200
MOST_ID = 24
_HASH_CHARACTERS = 10
_MOST_BEGINNING = MOST_NAME - _HASH_CHARACTERS - 1


@dataclass(frozen=True, slots=True)
class StoreClaim:
    """A store and the classes of its model that it manages.

    Args:
        store_id: a hash, the same for each process of the store.
        store: the name of its folder, without the folders above.
        titles: of the setting ``owns``, as ``titles_to_write`` writes them; none: all classes of the model.
        more: how many more titles it has, which are neither written nor compared.
        since: for how many seconds it had managed these when it wrote this.
        agreed: how many seconds before that its images and a view of the model were last the same; None if never.
        seen: how many seconds ago it wrote this, on the server's clock.
    """

    store_id: str
    machine: str
    store: str
    model: int
    titles: tuple[str, ...] = ()
    more: int = 0
    since: float = 0.0
    agreed: float | None = None
    seen: float = 0.0

    @property
    def owns_all(self) -> bool:
        return not (self.titles or self.more)

    @property
    def since_now(self) -> float:
        """For how many seconds it has managed these."""
        return self.since + self.seen

    @property
    def agreed_ago(self) -> float | None:
        return None if self.agreed is None else self.agreed + self.seen

    def continues(self, earlier: "StoreClaim") -> bool:
        """Whether this is what the same store has announced before."""
        return (self.store_id, self.model, self.titles, self.more) == (
            earlier.store_id,
            earlier.model,
            earlier.titles,
            earlier.more,
        )


def titles_to_write(titles: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """The titles that have room in a record, as they are read from it, and how many more there are."""
    written = list(map(_written, titles))
    room, kept = MOST_TITLES_CHARACTERS, 0
    for title in written[:MOST_TITLES]:
        room -= _written_length(title)
        if room < 0:
            break
        kept += 1
    return tuple(written[:kept]), len(written) - kept


def _written(title: str) -> str:
    """The title as it is read from a record. One that is too long or has characters that are not shown is written as
    its beginning and a hash of the whole title, so that different ones stay different."""
    plain = unicodedata.normalize("NFC", title).strip()
    if clean_text(plain, MOST_NAME) == plain:
        return plain
    digest = hashlib.sha256(fold_title(title).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{clean_text(plain, _MOST_BEGINNING)}…{digest[:_HASH_CHARACTERS]}"


def _written_length(title: str) -> int:
    """The most characters of a title in JSON of ASCII alone, with what stands around it."""
    plain = sum(char.isascii() and char.isprintable() and char not in '"\\' for char in title)
    return plain + 12 * (len(title) - plain) + 3


def claim_data(claim: StoreClaim) -> dict[str, object]:
    """What is written to the server. The server adds the time."""
    return {
        "kind": KIND,
        "id": claim.store_id[:MOST_ID],
        "host": claim.machine[:MOST_NAME],
        "store": claim.store[:MOST_NAME],
        "model": claim.model,
        "titles": list(claim.titles),
        "more": claim.more,
        "since": round(claim.since, 1),
        "agreed": None if claim.agreed is None else round(claim.agreed, 1),
    }


def claim_of(data: object, seen: object) -> StoreClaim | None:
    """What another store wrote, cleaned; None where it is no such record."""
    if not isinstance(data, Mapping) or data.get("kind") != KIND:
        return None
    store_id, machine = clean_text(data.get("id"), MOST_ID), clean_text(data.get("host"), MOST_NAME)
    model, age = clean_whole(data.get("model")), clean_number(seen, LONGEST_SECONDS)
    written = data.get("titles")
    titles = written if isinstance(written, list) else []
    cleaned = tuple(title for one in titles[:MOST_TITLES] if (title := clean_text(one, MOST_NAME)))
    more = clean_whole(data.get("more")) or 0
    if not (store_id and machine and model) or age is None or len(cleaned) != len(titles):
        # A list that cannot be read may be of any classes, and none means all of them.
        return None
    return StoreClaim(
        store_id,
        machine,
        clean_text(data.get("store"), MOST_NAME),
        model,
        cleaned,
        min(more, MOST_COUNT),
        clean_number(data.get("since"), LONGEST_SECONDS) or 0.0,
        clean_number(data.get("agreed"), LONGEST_SECONDS),
        age,
    )


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two stores that claim the same classes of one model: ``titles``, none for all."""

    one: StoreClaim
    other: StoreClaim
    titles: tuple[str, ...]


def contradictions_of(claims: Iterable[StoreClaim]) -> Iterator[Contradiction]:
    """Each pair of stores that claim the same classes. The titles that a record has no room for are not compared."""
    ordered = sorted(claims, key=lambda one: (one.model, one.machine, one.store, one.store_id))
    folded = [dict(zip(map(fold_title, one.titles), one.titles, strict=True)) for one in ordered]
    for place, one in enumerate(ordered):
        for later, other in enumerate(ordered[place + 1 :], place + 1):
            if one.model != other.model:
                # They are in the order of their models.
                break
            if one.store_id == other.store_id:
                continue
            if one.owns_all or other.owns_all:
                yield Contradiction(one, other, one.titles or other.titles)
            elif both := tuple(title for fold, title in folded[place].items() if fold in folded[later]):
                yield Contradiction(one, other, both)


def claims_of_model(claims: Iterable[StoreClaim], model: int, own_id: str = "") -> list[StoreClaim]:
    """The other stores of a model."""
    return [one for one in claims if one.model == model and one.store_id != own_id]
