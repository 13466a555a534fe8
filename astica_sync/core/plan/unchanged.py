"""Finds what is the same on all three sides, as nearly all of a million samples are, without an object for each.

The sides arrive as columns, page by page; where a stretch of uids is equal on all of them, it is counted and done with.
Only the contents of what is left go through the decision table one by one.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import eq

from astica_sync.core.model import CONTENT_LENGTH, MarkState, RemoteSample
from astica_sync.core.plan.planner import PlanContext
from astica_sync.core.view.sample_table import SampleTable

_AGREED = str(MarkState.AGREED)
# Below so many uids they are looked at one by one.
_SMALL = 48
# Comes after whatever follows a content hash.
_LAST = "\U0010ffff"

Page = tuple[Sequence[str], Sequence[str]]
"""Uids in order, and beside each its class title (local) or state (marks). No image is split between two pages."""


@dataclass(slots=True)
class Unchanged:
    """``classes`` counts, by title, the samples that are in the store, agreed, and shown once in their place, and whose
    image is in no other class anywhere. ``new`` are the uids, and beside them their titles, of what is in the store, in
    one class, and nobody else knows of. ``rest`` are the starts of all other uids up to the length of a content hash.
    All are in order."""

    classes: Counter[str] = field(default_factory=Counter)
    new: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    rest: list[str] = field(default_factory=list)


def find_unchanged(local: Iterable[Page], marks: Iterable[Page], shown: SampleTable) -> Unchanged:
    """Compares the three sides, each sorted by uid.

    Raises:
        ValueError: a side is not sorted; going on would call samples absent that are there.
    """
    unchanged = Unchanged()
    ours, noted = _Side(local), _Side(marks)
    start = 0
    while ours.uids or noted.uids:
        # Up to this content all three are in sight.
        ends = [side.uids[-1] for side in (ours, noted) if side.uids and not side.ended]
        last = min(ends)[:CONTENT_LENGTH] + _LAST if ends else _LAST
        end = bisect_right(shown.uids, last, start)
        _part(unchanged, ours.take(last), noted.take(last), (shown.uids[start:end], shown.titles(start, end)))
        start = end
    unchanged.rest += _contents(shown.uids[start:])
    return unchanged


def recheck_contents(
    unchanged: Unchanged, contents: Iterable[str], shown: Callable[[list[str]], Iterable[RemoteSample]]
) -> Unchanged:
    """What is kept for sure when something about ``contents`` may have changed in the store, and nothing elsewhere.

    ``shown`` gives the samples whose uids begin with some contents, which are in order. Of a content that was kept the
    service shows exactly one; one that it does not show was on no side.
    """
    classes = Counter(unchanged.classes)
    changed = sorted(set(contents).difference(unchanged.rest))
    for sample in shown(changed):
        classes[sample.class_title] -= 1
    return Unchanged(+classes, ([], []), sorted({*unchanged.rest, *changed}))


def split_batch(unchanged: Unchanged, terms: PlanContext, most: int | None) -> tuple[list[str], Counter[str]]:
    """The contents that are to be planned now, in order, and how many others of the new ones follow, by class.

    What is not to be sent (it failed before, or its class is asked about) waits for no turn, and takes none.
    """
    contents = list(unchanged.rest)
    uids, titles = unchanged.new
    if most is not None and not terms.failed_before and not terms.questioned_titles:
        # A million of them need no look at each.
        contents += [uid[:CONTENT_LENGTH] for uid in uids[:most]]
        return sorted(contents), Counter(titles[most:])
    later: Counter[str] = Counter()
    taken = 0
    for uid, title in zip(uids, titles, strict=True):
        if uid in terms.failed_before or title in terms.questioned_titles:
            contents.append(uid[:CONTENT_LENGTH])
        elif most is None or taken < most:
            taken += 1
            contents.append(uid[:CONTENT_LENGTH])
        else:
            later[title] += 1
    contents.sort()
    return contents, later


class _Side:
    """The pages of one side; ``uids`` is what is in sight, ``ended`` that nothing follows."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._pages: Iterator[Page] = iter(pages)
        self.uids: Sequence[str] = []
        self.words: Sequence[str] = []
        self.ended = False
        self._next: Page | None = None
        self._last = ""
        self._turn()
        self._turn()

    def take(self, last: str) -> Page:
        """Takes all uids up to ``last``."""
        end = bisect_right(self.uids, last)
        taken = self.uids[:end], self.words[:end]
        self.uids, self.words = self.uids[end:], self.words[end:]
        if not self.uids:
            self._turn()
        return taken

    def _turn(self) -> None:
        if self._next is not None:
            # Lists, since nothing else is equal to a list.
            self.uids, self.words = map(list, self._next)
        self._next = next((page for page in self._pages if page[0]), None)
        self.ended = self._next is None
        if self._next is not None:
            uids = self._next[0]
            if uids[0] <= self._last:
                raise ValueError(f"not sorted by uid: {uids[0]!r} after {self._last!r}")
            self._last = uids[-1]


def _part(unchanged: Unchanged, ours: Page, noted: Page, theirs: Page) -> None:
    """Counts what is kept among stretches that cover the same contents, halving them where they differ."""
    uids = max(ours[0], noted[0], theirs[0], key=len)
    new = not noted[0] and not theirs[0]
    if new or (ours == theirs and ours[0] == noted[0] and noted[1].count(_AGREED) == len(noted[1])):
        contents = [uid[:CONTENT_LENGTH] for uid in uids]
        if not any(map(eq, contents, islice(contents, 1, None))):
            if new:
                unchanged.new[0].extend(ours[0])
                unchanged.new[1].extend(ours[1])
            else:
                unchanged.classes.update(ours[1])
            return
    if len(uids) <= _SMALL:
        _part_small(unchanged, ours, noted, theirs)
        return
    middle = uids[len(uids) // 2][:CONTENT_LENGTH] + _LAST
    if uids[-1] <= middle:
        # One image in very many classes, or very often on the service.
        middle = uids[0][:CONTENT_LENGTH] + _LAST
        if uids[-1] <= middle:
            _part_small(unchanged, ours, noted, theirs)
            return
    cuts = [bisect_right(side[0], middle) for side in (ours, noted, theirs)]
    low = [(side[0][:cut], side[1][:cut]) for side, cut in zip((ours, noted, theirs), cuts, strict=True)]
    high = [(side[0][cut:], side[1][cut:]) for side, cut in zip((ours, noted, theirs), cuts, strict=True)]
    _part(unchanged, *low)
    _part(unchanged, *high)


def _part_small(unchanged: Unchanged, ours: Page, noted: Page, theirs: Page) -> None:
    titles = dict(zip(*ours, strict=True))
    states = dict(zip(*noted, strict=True))
    often = Counter(uid[:CONTENT_LENGTH] for uid in {*ours[0], *noted[0], *theirs[0]})
    shown: dict[str, list[str]] = {}
    for uid, title in zip(*theirs, strict=True):
        shown.setdefault(uid, []).append(title)
    plain = [
        uid
        for uid, title in titles.items()
        if states.get(uid) == _AGREED and shown.get(uid) == [title] and often[uid[:CONTENT_LENGTH]] == 1
    ]
    unchanged.classes.update(titles[uid] for uid in plain)
    new = [uid for uid in titles if uid not in states and uid not in shown and often[uid[:CONTENT_LENGTH]] == 1]
    unchanged.new[0].extend(new)
    unchanged.new[1].extend(titles[uid] for uid in new)
    unchanged.rest += sorted(often.keys() - {uid[:CONTENT_LENGTH] for uid in (*plain, *new)})


def _contents(uids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(uid[:CONTENT_LENGTH] for uid in uids))
