"""Which uid of ours stands behind one that the service has cut, where it also spells class titles in its own way.

What is cut off a uid depends on model and class (``complete_uid``), and the class is meant in the store's spelling. A
service may show it in another one, so the titles that the store knows are tried before the one that is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from astica_sync.core.model import CONTENT_LENGTH, complete_uid, fold_title

Titles = Callable[[], Iterable[str]]
Knows = Callable[[str, str], bool]


class UidRepair:
    """Completes the uids of one view; made anew for each.

    Args:
        titles: every class title of the store and the marks, in the store's spelling; asked for at the first cut uid.
        present: whether the store has the sample of this uid and title.
        marked: whether a mark speaks of it.
    """

    def __init__(
        self, titles: Titles = tuple, present: Knows = lambda *_: False, marked: Knows = lambda *_: False
    ) -> None:
        self._titles = titles
        self._present = present
        self._marked = marked
        self._shown: frozenset[str] = frozenset()
        self._by_fold: dict[str, list[str]] | None = None
        self._candidates: dict[str, list[str]] = {}
        self._handed_out: Counter[str] = Counter()
        self.classes_known = True
        """False once a uid of ours had nothing left of its class."""
        self.mattered = False
        """Whether a uid was seen that another store may read in another way."""

    def begin(self, shown: Iterable[str]) -> None:
        """Tells the titles of the view before its samples: one that is shown as a class of its own is not what is
        meant by another spelling of it."""
        self._shown = frozenset(shown)

    def complete(self, text: str, model_id: int, title: str) -> str:
        """The whole uid behind ``text`` in the class that is shown as ``title``; the text as it is when it is not ours.

        Two classes of the store may be one on the service, and an image lie in both. Its samples there cannot be told
        apart and need not be: they are handed out one by one to the samples of the store first, so that none is missed
        and none is sent again, then to those that are to go.
        """
        self.mattered = self.mattered or len(text) >= CONTENT_LENGTH
        if CONTENT_LENGTH <= len(text) <= CONTENT_LENGTH + 1 and complete_uid(text, model_id, title) != text:
            self.classes_known = False
        candidates = self._candidates.get(title)
        if candidates is None:
            candidates = self._candidates[title] = self._find_candidates(title)
        uids = {one: uid for one in candidates if (uid := complete_uid(text, model_id, one)) != text}
        if not uids:
            # Of a class that this store does not have in that spelling, so perhaps another store's.
            return complete_uid(text, model_id, title)
        if len(uids) < 2:
            return next(iter(uids.values()))
        known = [uid for one, uid in uids.items() if self._present(uid, one)]
        known += [uid for one, uid in uids.items() if uid not in known and self._marked(uid, one)]
        if not known:
            return next(iter(uids.values()))
        turn = f"{text}\0{title}"
        self._handed_out[turn] += 1
        return known[min(self._handed_out[turn], len(known)) - 1]

    def _find_candidates(self, title: str) -> list[str]:
        """The titles that may be meant by the one that is shown, itself first."""
        if self._by_fold is None:
            self._by_fold = defaultdict(list)
            for known in sorted(set(self._titles())):
                self._by_fold[fold_title(known)].append(known)
        meant = [known for known in self._by_fold.get(fold_title(title), ()) if known not in self._shown - {title}]
        return sorted(meant, key=lambda known: known != title) or [title]
