"""Finds the samples for which nothing is to be done, as for nearly all of a million, without an object for each.

The three sides arrive as columns, page by page. A stretch of uids that is equal on all of them is counted and needs no
row; the contents of everything else go through the decision table one by one. What is counted is what ``decide`` keeps,
and what is new is what it uploads: a property test compares both with the planner.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import eq

from astica_sync.core.model import CONTENT_LENGTH, MarkState, RemoteSample
from astica_sync.core.observation.sample_table import SampleTable
from astica_sync.core.owned_classes import OwnedClasses
from astica_sync.core.plan.gather_facts import PlanContext

_AGREED = str(MarkState.AGREED)
# Fewer uids than this are compared one by one.
_SMALL = 48
# Sorts after anything that follows a content hash.
_LAST = "\U0010ffff"

UidPage = tuple[Sequence[str], Sequence[str]]
"""Uids in order, and a value for each: its class title (local, remote) or state (marks). The uids of one image are
never split between two pages."""


@dataclass(slots=True)
class Unchanged:
    """``classes`` counts, by title, the samples that are in the store, agreed, and shown once in their place, and whose
    image is in no other class on any side. ``new`` are the uids, and their titles, of images that are in one class of
    the store and on no other side. ``rest`` are all other uids, cut to the length of a content hash. All are sorted."""

    classes: Counter[str] = field(default_factory=Counter)
    new: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    rest: list[str] = field(default_factory=list)


def find_unchanged(local: Iterable[UidPage], marks: Iterable[UidPage], remote: SampleTable) -> Unchanged:
    """Compares the three sides, each sorted by uid.

    Raises:
        ValueError: a side is not sorted; going on would call samples absent that are there.
    """
    unchanged = Unchanged()
    local_side, marks_side = _PagedSide(local), _PagedSide(marks)
    start = 0
    while local_side.uids or marks_side.uids:
        # Up to this content the current pages of both sides are complete.
        ends = [side.uids[-1] for side in (local_side, marks_side) if side.uids and not side.is_last]
        last = min(ends)[:CONTENT_LENGTH] + _LAST if ends else _LAST
        end = bisect_right(remote.uids, last, start)
        stretch = _Stretch(
            local_side.take(last), marks_side.take(last), (remote.uids[start:end], remote.titles(start, end))
        )
        _compare(unchanged, stretch)
        start = end
    unchanged.rest += _contents(remote.uids[start:])
    return unchanged


def pages_of_owned(local: Iterable[UidPage], owned: OwnedClasses) -> Iterable[UidPage]:
    """The samples of the store in the classes that it manages."""
    if not owned:
        return local
    return (_owned_page(page, owned) for page in local)


def _owned_page(page: UidPage, owned: OwnedClasses) -> UidPage:
    kept = [(uid, title) for uid, title in zip(*page, strict=True) if owned.covers(title)]
    return [uid for uid, _ in kept], [title for _, title in kept]


def recheck_contents(
    unchanged: Unchanged, contents: Iterable[str], with_contents: Callable[[list[str]], Iterable[RemoteSample]]
) -> Unchanged:
    """What is still unchanged when something about ``contents`` may have changed in the store, and nothing elsewhere.

    ``with_contents`` gives the remote samples of some contents. Of an unchanged content the service shows exactly one;
    one that it does not show was on no side.
    """
    classes = Counter(unchanged.classes)
    changed = sorted(set(contents).difference(unchanged.rest))
    for sample in with_contents(changed):
        classes[sample.class_title] -= 1
    return Unchanged(+classes, ([], []), sorted({*unchanged.rest, *changed}))


def split_batch(unchanged: Unchanged, context: PlanContext, most: int | None) -> tuple[list[str], Counter[str]]:
    """The contents to plan now, sorted, with at most ``most`` new ones; and how many new ones follow later, by class.

    What is not sent (it failed before, or its class waits for confirmation) is planned now and does not count.
    """
    contents = list(unchanged.rest)
    uids, titles = unchanged.new
    if most is not None and not context.failed_before and not context.questioned_titles:
        # No need to inspect each of a million.
        contents += [uid[:CONTENT_LENGTH] for uid in uids[:most]]
        return sorted(contents), Counter(titles[most:])
    later: Counter[str] = Counter()
    taken = 0
    for uid, title in zip(uids, titles, strict=True):
        if uid in context.failed_before or title in context.questioned_titles:
            contents.append(uid[:CONTENT_LENGTH])
        elif most is None or taken < most:
            taken += 1
            contents.append(uid[:CONTENT_LENGTH])
        else:
            later[title] += 1
    contents.sort()
    return contents, later


class _PagedSide:
    """The pages of one side: ``uids`` and ``values`` of the current page, ``is_last`` whether another follows."""

    def __init__(self, pages: Iterable[UidPage]) -> None:
        self._pages: Iterator[UidPage] = iter(pages)
        self.uids: Sequence[str] = []
        self.values: Sequence[str] = []
        self.is_last = False
        self._next: UidPage | None = None
        self._last_uid = ""
        self._advance()
        self._advance()

    def take(self, last: str) -> UidPage:
        """Removes and returns all uids of the page up to ``last``."""
        end = bisect_right(self.uids, last)
        taken = self.uids[:end], self.values[:end]
        self.uids, self.values = self.uids[end:], self.values[end:]
        if not self.uids:
            self._advance()
        return taken

    def _advance(self) -> None:
        if self._next is not None:
            # As lists, since a list equals lists alone.
            self.uids, self.values = map(list, self._next)
        self._next = next((page for page in self._pages if page[0]), None)
        self.is_last = self._next is None
        if self._next is not None:
            uids = self._next[0]
            if uids[0] <= self._last_uid:
                raise ValueError(f"not sorted by uid: {uids[0]!r} after {self._last_uid!r}")
            self._last_uid = uids[-1]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Parts of the three sides that cover the same contents."""

    local: UidPage
    marks: UidPage
    remote: UidPage

    @property
    def longest(self) -> Sequence[str]:
        return max(self.local[0], self.marks[0], self.remote[0], key=len)

    @property
    def is_new(self) -> bool:
        return not self.marks[0] and not self.remote[0]

    @property
    def is_equal(self) -> bool:
        local, marks = self.local, self.marks
        return local == self.remote and local[0] == marks[0] and marks[1].count(_AGREED) == len(marks[1])

    def split(self, middle: str) -> "tuple[_Stretch, _Stretch]":
        """The parts up to ``middle`` and after it."""
        cuts = [(side, bisect_right(side[0], middle)) for side in (self.local, self.marks, self.remote)]
        low = [(side[0][:cut], side[1][:cut]) for side, cut in cuts]
        high = [(side[0][cut:], side[1][cut:]) for side, cut in cuts]
        return _Stretch(*low), _Stretch(*high)


def _compare(unchanged: Unchanged, stretch: _Stretch) -> None:
    """Counts what is unchanged in the stretch, halving it where its sides differ."""
    uids = stretch.longest
    if (stretch.is_new or stretch.is_equal) and not _has_repeated_content(uids):
        if stretch.is_new:
            unchanged.new[0].extend(stretch.local[0])
            unchanged.new[1].extend(stretch.local[1])
        else:
            unchanged.classes.update(stretch.local[1])
        return
    if len(uids) <= _SMALL:
        _compare_each(unchanged, stretch)
        return
    middle = uids[len(uids) // 2][:CONTENT_LENGTH] + _LAST
    if uids[-1] <= middle:
        # One image in very many classes, or very often on the service.
        middle = uids[0][:CONTENT_LENGTH] + _LAST
        if uids[-1] <= middle:
            _compare_each(unchanged, stretch)
            return
    low, high = stretch.split(middle)
    _compare(unchanged, low)
    _compare(unchanged, high)


def _compare_each(unchanged: Unchanged, stretch: _Stretch) -> None:
    titles = dict(zip(*stretch.local, strict=True))
    states = dict(zip(*stretch.marks, strict=True))
    uids_of_content = Counter(uid[:CONTENT_LENGTH] for uid in {*titles, *states, *stretch.remote[0]})
    remote: dict[str, list[str]] = {}
    for uid, title in zip(*stretch.remote, strict=True):
        remote.setdefault(uid, []).append(title)
    alone = [uid for uid in titles if uids_of_content[uid[:CONTENT_LENGTH]] == 1]
    kept = [uid for uid in alone if states.get(uid) == _AGREED and remote.get(uid) == [titles[uid]]]
    new = [uid for uid in alone if uid not in states and uid not in remote]
    unchanged.classes.update(titles[uid] for uid in kept)
    unchanged.new[0].extend(new)
    unchanged.new[1].extend(titles[uid] for uid in new)
    unchanged.rest += sorted(uids_of_content.keys() - {uid[:CONTENT_LENGTH] for uid in (*kept, *new)})


def _has_repeated_content(uids: Sequence[str]) -> bool:
    contents = [uid[:CONTENT_LENGTH] for uid in uids]
    return any(map(eq, contents, islice(contents, 1, None)))


def _contents(uids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(uid[:CONTENT_LENGTH] for uid in uids))
