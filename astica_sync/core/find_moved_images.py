"""Which images went to another class since a time, so that they can be moved back, and where each was first."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from astica_sync.core.model import content_of, is_uid
from astica_sync.core.plan.decision_table import RemovalReason

UPLOADS = ("upload", "adopt")
"""The actions of the history by which the service has a sample."""
_REMOVALS = ("remove", "remove-class")
_NOT_CARRIED_OUT = ("refused", "not done")
_SUPERFLUOUS = (RemovalReason.EXTRA, RemovalReason.MISPLACED, RemovalReason.RECONVERTED)
"""Reasons of removals for which no file has left its class."""


class MovedImage(NamedTuple):
    """An image that was at ``path`` and is at ``now``, in another class."""

    path: str
    now: str
    content: str


class OtherPlace(NamedTuple):
    """A ``path`` that the image at ``now`` has left, and that is not the one to bring it back to: it was renamed within
    its class, is a copy, or was there in between; then ``first`` is where it was before, "" otherwise."""

    path: str
    now: str
    first: str


class SamplePlace(NamedTuple):
    """A path in the store, and the uid of the sample that an image is there."""

    path: str
    uid: str


class ImagePlaces(NamedTuple):
    """The places that an image has ``left``, and those where the store has it ``now``."""

    left: Sequence[SamplePlace]
    now: Sequence[SamplePlace]


class PastEvent(Protocol):
    """One event of the history (``Event`` of the journal)."""

    @property
    def run(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def reason(self) -> str: ...


def find_moved(
    images: dict[str, ImagePlaces], events: Iterable[PastEvent], is_marked: Callable[[str], bool]
) -> tuple[list[MovedImage], list[OtherPlace]]:
    """Divides what the store has in another place, by path.

    An image has moved where the class that has it now is not the one that it was in first: before the first of the
    events, or, where it was uploaded by one of them, by its first upload. What was copied before, or is not known to
    have moved, stays: of several places the one that came last before the image was removed from its first one is where
    it went.

    Args:
        images: the places of each image, by content hash.
        events: what was done since a time, the oldest first; of other images as well.
        is_marked: whether the journal has the sample of a uid, and not as removed.
    """
    history = _History(events, images, is_marked)
    moved: list[MovedImage] = []
    others: list[OtherPlace] = []
    for content, (places, now) in images.items():
        there = {one.uid for one in now}
        firsts = history.firsts([*places, *now])
        back = [one for one in places if one.uid in firsts and one.uid not in there]
        came = [one for one in now if one.uid not in firsts]
        went = _Successors(history, content, firsts, now).pair(back, came)
        moved += [MovedImage(first.path, path, content) for first, path in went.items()]
        in_between = back[0].path if len(back) == 1 and went else ""
        for old in places:
            if old not in went:
                likely = history.likely_place(old, now)
                others.append(OtherPlace(old.path, likely, in_between if old.uid not in there else ""))
    return sorted(moved), sorted(others)


class _History:
    """What was done to the samples of some images since a time, by their uids; the numbers count the events."""

    def __init__(
        self, events: Iterable[PastEvent], contents: Collection[str], is_marked: Callable[[str], bool]
    ) -> None:
        self._is_marked = is_marked
        self._first: dict[str, tuple[int, PastEvent]] = {}
        self._moved: set[str] = set()
        self._uploaded: dict[str, int] = {}
        self._removed: dict[str, tuple[int, str]] = {}
        self._uids: dict[str, dict[str, str]] = defaultdict(dict)
        for number, event in enumerate(events):
            uid = event.uid
            if not is_uid(uid) or content_of(uid) not in contents:
                continue
            self._first.setdefault(uid, (number, event))
            self._uids[content_of(uid)].setdefault(uid, event.path)
            if event.reason.startswith(RemovalReason.MOVED):
                self._moved.add(uid)
            if event.outcome in _NOT_CARRIED_OUT:
                continue
            if event.action in UPLOADS:
                self._uploaded[uid] = number
            elif event.action in _REMOVALS and not event.reason.startswith(_SUPERFLUOUS):
                self._removed[uid] = (number, event.reason)

    def firsts(self, places: Iterable[SamplePlace]) -> set[str]:
        """The samples of one image that were there first: at that time, else those that were uploaded first."""
        uids = {one.uid for one in places}
        first = {uid for uid in uids if self._was_there(uid)}
        if first:
            return first
        uploaded = {uid: self._first[uid] for uid in uids if uid in self._first}
        if not uploaded:
            return set()
        oldest = min(uploaded, key=lambda uid: uploaded[uid][0])
        if oldest in self._moved:
            return {oldest}
        # Copies that one push has uploaded are as old as each other.
        run = uploaded[oldest][1].run
        return {uid for uid, (_, event) in uploaded.items() if event.run == run}

    def places_of(self, content: str) -> list[SamplePlace]:
        """The places that an image has had, also those that another file has taken since."""
        return [SamplePlace(path, uid) for uid, path in self._uids[content].items()]

    def arrival(self, uid: str, *, is_there: bool) -> float:
        """When a sample came last: less than any event where it was there before, more where no push has sent it yet.
        ``is_there``: the store has it now."""
        uploaded = self._uploaded.get(uid)
        if uploaded is None:
            return -1.0 if self._was_there(uid) else math.inf
        return math.inf if is_there and self.removal(uid)[0] < math.inf else float(uploaded)

    def removal(self, uid: str) -> tuple[float, str]:
        """When a sample was removed after it came last, and why; later than any event where no push has done that."""
        number, reason = self._removed.get(uid, (-1, ""))
        return (float(number), reason) if number > self._uploaded.get(uid, -1) else (math.inf, "")

    def likely_place(self, old: SamplePlace, now: Sequence[SamplePlace]) -> str:
        """Where the image of a place is that it has left: in its class, else where it came last before it left."""
        in_class = [one for one in now if one.uid == old.uid]
        if in_class:
            return _same_name_first(old, in_class).path
        removed, _ = self.removal(old.uid)
        arrivals = {one: self.arrival(one.uid, is_there=True) for one in now}
        last = max((at for at in arrivals.values() if at <= removed), default=min(arrivals.values()))
        return _same_name_first(old, [one for one, at in arrivals.items() if at == last]).path

    def _was_there(self, uid: str) -> bool:
        known = self._first.get(uid)
        if known is not None:
            return known[1].action not in UPLOADS
        return self._is_marked(uid)


class _Successors:
    """To which place the image of each one went. An upload comes before the removal from the place that was left, so it
    went to the place that came last before that."""

    def __init__(self, history: _History, content: str, firsts: Collection[str], now: Sequence[SamplePlace]) -> None:
        self._history = history
        self._there = {one.uid for one in now}
        gone = [one for one in history.places_of(content) if one.uid not in self._there]
        arrivals = {one: history.arrival(one.uid, is_there=one.uid in self._there) for one in (*now, *gone)}
        # What was never sent and is gone was nowhere.
        self._arrivals = {
            one: at
            for one, at in arrivals.items()
            if one.uid not in firsts and (at < math.inf or one.uid in self._there)
        }

    def pair(self, back: Sequence[SamplePlace], came: Sequence[SamplePlace]) -> dict[SamplePlace, str]:
        """Of each place that was left the path of ``came`` that has its image, where that is known."""
        free = set(came)
        pairs: dict[SamplePlace, str] = {}
        waiting = sorted(back, key=lambda old: (self._history.removal(old.uid)[0], old.path))
        for old in tuple(waiting):
            waiting.remove(old)
            place = self._next(old, free, waiting)
            while place is not None and place not in free:
                place = self._next(place, free, waiting)
            if place is not None:
                free.remove(place)
                pairs[old] = place.path
        return pairs

    def _next(
        self, old: SamplePlace, free: Collection[SamplePlace], waiting: Sequence[SamplePlace]
    ) -> SamplePlace | None:
        """``waiting`` are the places whose images are looked for after this one: what came last may be one of them."""
        came, (removed, reason) = self._history.arrival(old.uid, is_there=False), self._history.removal(old.uid)
        possible = {
            one: at for one, at in self._arrivals.items() if at > came and (one.uid not in self._there or one in free)
        }
        before = sorted((one for one, at in possible.items() if at <= removed), key=lambda one: (-possible[one], one))
        if before:
            return _same_name_first(old, before[: 1 + len(waiting)], waiting)
        if reason.startswith((RemovalReason.MOVED, RemovalReason.DUPLICATE)):
            return None
        # It was deleted, and came back to another class.
        return min(possible, key=lambda one: (possible[one], one), default=None)


def _same_name_first(
    old: SamplePlace, places: Sequence[SamplePlace], others: Sequence[SamplePlace] = ()
) -> SamplePlace:
    """The first of the places with the file name of the old one, else with that of none of the ``others``."""
    name, taken = _name_of(old), {_name_of(one) for one in others}
    named = next((one for one in places if _name_of(one) == name), None)
    return named or next((one for one in places if _name_of(one) not in taken), places[0])


def _name_of(place: SamplePlace) -> str:
    return place.path.rpartition("/")[2]
