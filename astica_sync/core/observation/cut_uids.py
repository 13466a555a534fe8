"""Completes uids that the service has cut, also where it spells class titles in its own way.

The part that is cut off depends on the model, the class and the recipe (``complete_uid``), with the class title in the
store's spelling. A service may show another spelling, so the titles that the store knows are tried before the one in
the view.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from astica_sync.core.model import CONTENT_LENGTH, complete_uid, fold_title

Titles = Callable[[], Iterable[str]]
HasSample = Callable[[str, str], bool]


class UidRepair:
    """Completes the uids of one view; each view needs a new one.

    Args:
        titles: returns every class title of the store and the marks, in the store's spelling; called at the first cut
            uid.
        present: whether the store has the sample with this uid and class title.
        marked: whether the journal has a mark for it.
        recipes: returns every recipe that is a part of uids of the store (see ``make_scope``), the default one first.
    """

    def __init__(
        self,
        titles: Titles = tuple,
        present: HasSample = lambda *_: False,
        marked: HasSample = lambda *_: False,
        recipes: Titles = lambda: ("",),
    ) -> None:
        self._titles = titles
        self._present = present
        self._marked = marked
        self._find_recipes = recipes
        self._recipes: tuple[str, ...] = ()
        self._titles_in_view: frozenset[str] = frozenset()
        self._by_fold: dict[str, list[str]] | None = None
        self._candidates: dict[str, list[str]] = {}
        self._assigned: Counter[str] = Counter()
        self.classes_known: bool = True
        """False after a uid of ours of which the part that depends on the class was cut off entirely."""
        self.depends_on_store: bool = False
        """Whether there was a cut uid that another store may complete differently."""

    def begin(self, titles_in_view: Iterable[str]) -> None:
        """Sets the class titles of the view; call it before ``complete``. A title that is a class of the view by itself
        is not another spelling of a different class."""
        self._titles_in_view = frozenset(titles_in_view)

    def complete(self, text: str, model_id: int, title: str) -> str:
        """The complete uid of ``text`` in the class with this title in the view; ``text`` itself when it is not ours.

        Two classes of the store may be one class on the service, and both may contain the same image. Its samples there
        are indistinguishable. They are assigned one by one: first to the samples of the store, so that none is missing
        and none is uploaded again, then to the samples that only have a mark.
        """
        self.depends_on_store = self.depends_on_store or len(text) >= CONTENT_LENGTH
        if CONTENT_LENGTH <= len(text) <= CONTENT_LENGTH + 1 and complete_uid(text, model_id, title) != text:
            self.classes_known = False
        self._recipes = self._recipes or tuple(self._find_recipes())
        candidates = self._candidates.get(title)
        if candidates is None:
            candidates = self._candidates[title] = self._find_candidates(title)
        uids = {
            uid: own
            for recipe in self._recipes
            for own in candidates
            if (uid := complete_uid(text, model_id, own, recipe)) != text
        }
        if not uids:
            # This store has no class in that spelling; the sample may be another store's.
            return complete_uid(text, model_id, title)
        if len(uids) < 2:
            return next(iter(uids))
        known = [uid for uid, own in uids.items() if self._present(uid, own)]
        known += [uid for uid, own in uids.items() if uid not in known and self._marked(uid, own)]
        if not known:
            return next(iter(uids))
        ambiguous = f"{text}\0{title}"
        self._assigned[ambiguous] += 1
        return known[min(self._assigned[ambiguous], len(known)) - 1]

    def _find_candidates(self, title: str) -> list[str]:
        """The titles of the store that the title in the view may stand for, the same title first."""
        if self._by_fold is None:
            self._by_fold = defaultdict(list)
            for known in sorted(set(self._titles())):
                self._by_fold[fold_title(known)].append(known)
        meant = [
            known for known in self._by_fold.get(fold_title(title), ()) if known not in self._titles_in_view - {title}
        ]
        return sorted(meant, key=lambda known: known != title) or [title]
