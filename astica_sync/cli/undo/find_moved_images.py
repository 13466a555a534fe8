"""Which images went to another class since a time, so that they can be moved back, and where each was first."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from astica_sync.core.model import MarkState, make_scope, make_uid
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.local.backup.removed_since import Elsewhere
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Event, Journal


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


class _Place(NamedTuple):
    path: str
    uid: str


def find_moved(
    journal: Journal, index: Index, model_id: int, since: float, elsewhere: Sequence[Elsewhere]
) -> tuple[list[MovedImage], list[OtherPlace]]:
    """Divides what the store has in another place, by path.

    An image has moved where the class that has it now is not the one that it was in first: at ``since``, or, where it
    was uploaded after that, by its first upload. What was copied before, or is not known to have moved, stays.
    """

    def place(path: str, content: str) -> _Place:
        title = class_title_of(path.partition("/")[0]) or ""
        return _Place(path, make_uid(content, make_scope(model_id, title, index.recipe_of(content))))

    left: dict[str, list[_Place]] = defaultdict(list)
    for one in elsewhere:
        content, _ = index.file_at(one.now) or (None, None)
        if content is not None:
            left[content].append(place(one.path, content))
    now = {content: [place(path, content) for path in index.paths_with(content)] for content in left}
    history = _History(journal, since, {one.uid for places in (*left.values(), *now.values()) for one in places})
    moved: list[MovedImage] = []
    others: list[OtherPlace] = []
    for content, places in left.items():
        there = {one.uid for one in now[content]}
        firsts = history.firsts([*places, *now[content]])
        back = [one for one in places if one.uid in firsts and one.uid not in there]
        came = [one.path for one in now[content] if one.uid not in firsts]
        moved += [MovedImage(old.path, path, content) for old, path in zip(back, came, strict=False)]
        done = {one.path for one in back[: len(came)]}
        in_between = back[0].path if len(back) == 1 and came else ""
        others += [
            OtherPlace(one.path, now[content][0].path, in_between if one.uid not in there else "")
            for one in places
            if one.path not in done
        ]
    return sorted(moved), sorted(others)


class _History:
    """The first event of each sample since a time, and which were removed as moved."""

    def __init__(self, journal: Journal, since: float, uids: set[str]) -> None:
        self._journal = journal
        self._first: dict[str, tuple[int, Event]] = {}
        self._moved: set[str] = set()
        for number, event in enumerate(reversed([one for one in journal.history(since=since) if one.uid in uids])):
            self._first.setdefault(event.uid, (number, event))
            if event.reason.startswith(RemovalReason.MOVED):
                self._moved.add(event.uid)

    def firsts(self, places: Iterable[_Place]) -> set[str]:
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

    def _was_there(self, uid: str) -> bool:
        known = self._first.get(uid)
        if known is not None:
            return known[1].action not in ("upload", "adopt")
        mark = self._journal.mark(uid)
        return mark is not None and mark.state is not MarkState.REMOVED
