"""Which images of the store ``split`` has held out: a version that is trained on them is scored too high."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from astica_sync.core.model import content_of
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal

RETURNED = "held_out_returned"
"""Where the index keeps those that came back to the store, by content: the journal forgets them with the first push."""


class ReturnedImage(NamedTuple):
    """An image that is at ``path`` in the store and at ``place`` in the held-out folder."""

    path: str
    place: str


def find_held_out_images(journal: Journal, index: Index) -> list[ReturnedImage]:
    """The images of the last scan whose bytes are held out, by path. Looks for the file of each of these in the
    held-out folder, and for no other one there: its disk may be slow."""
    places = _read_returned(index)
    places |= {content_of(uid): place for uid, place in journal.held_out().items()}
    found: list[ReturnedImage] = []
    # Their contents alone count, whatever model their uids would be of.
    for sample in index.local_samples(0, sorted(places)):
        place = places[sample.content]
        # What was moved back into the store is held out no more.
        if os.path.lexists(place):
            found += [ReturnedImage(path, place) for path in sample.paths]
    return sorted(found)


def note_returned(index: Index, images: Iterable[tuple[str, str]]) -> None:
    """Notes images that are in the store again, each as its content and its place in the held-out folder."""
    places = _read_returned(index)
    added = {content: place for content, place in images if place and places.get(content) != place}
    if added:
        index.set_meta(RETURNED, places | added)


def _read_returned(index: Index) -> dict[str, str]:
    noted = index.get_meta(RETURNED)
    if not isinstance(noted, dict):
        return {}
    # The index may be another user's.
    return {content: place for content, place in noted.items() if isinstance(place, str)}
