"""Lists an inbox: which images in it are new here, and what else lies there. Reads no object."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from astica_sync.core.inbox.object_name import ObjectName, parse_name
from astica_sync.errors import Interrupted
from astica_sync.inbox.taken_record import TakenRecord
from astica_sync.mirror.place import Place, PlaceEntry

PIECE = 2000
"""So many new images are taken in before the list is read on."""
MOST_NAMED = 1000
"""So many objects that are no images are named; all are counted."""


@dataclass(frozen=True, slots=True)
class NewObject:
    """An image that was not taken in yet, as it was listed."""

    key: str
    name: ObjectName
    size: int
    version: str


@dataclass(slots=True)
class InboxListing:
    """A piece of the list. ``taken`` counts what was taken in before, ``refused`` what was refused lately. ``others``
    are the first (name, reason) of objects that are no images by their name, ``other_count`` all of them.
    ``incomplete`` is why the list may lack something, "" where it is whole."""

    new: list[NewObject] = field(default_factory=list)
    taken: int = 0
    refused: int = 0
    others: list[tuple[str, str]] = field(default_factory=list)
    other_count: int = 0
    incomplete: str = ""


def list_inbox(
    place: Place, record: TakenRecord, titles: Iterable[str], now: float, stopping: Callable[[], bool] = lambda: False
) -> Iterator[InboxListing]:
    """The list in pieces, so that objects which stay in the inbox keep no others away. ``titles`` are the classes of
    the store: where one key spoils the list of a bucket, their folders are listed one by one. ``now`` is in seconds
    since the epoch.

    Raises:
        MirrorFailed: the inbox cannot be listed.
        Interrupted: the user asked to stop.
    """
    found = InboxListing()
    seen: set[str] = set()
    for entry in _entries(place, titles):
        if stopping():
            raise Interrupted("stopped by the user", "the same command goes on where it was")
        if entry.fault:
            found.incomplete = f"{entry.name}: {entry.fault}" if entry.name else entry.fault
        elif entry.name not in seen:
            _take(entry, record, now, found, seen)
        if len(found.new) == PIECE:
            yield found
            found = InboxListing(others=found.others)
    yield found


def _entries(place: Place, titles: Iterable[str]) -> Iterator[PlaceEntry]:
    for entry in place.entries():
        yield entry
        if entry.fault and not entry.name:
            break
    else:
        return
    for title in titles:
        yield from (entry for entry in place.entries(title) if not entry.fault)


def _take(entry: PlaceEntry, record: TakenRecord, now: float, found: InboxListing, seen: set[str]) -> None:
    name = parse_name(entry.name)
    if isinstance(name, str):
        if not entry.size and "/" not in entry.name:
            # Consoles of providers make an empty object for a folder.
            return
        found.other_count += 1
        if len(found.others) < MOST_NAMED:
            found.others.append((entry.name, name))
    elif record.has(name):
        found.taken += 1
    elif record.was_refused(entry.name, entry.version, now):
        found.refused += 1
    else:
        seen.add(entry.name)
        found.new.append(NewObject(entry.name, name, entry.size, entry.version))
