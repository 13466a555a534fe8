"""Which classes of a model a store manages, where several stores divide them: the setting ``owns``."""

from dataclasses import dataclass, field

from astica_sync.core.model import fold_title

MOST_KNOWN = 4096
"""Of so many titles it is remembered whether the store owns them."""


@dataclass(frozen=True, slots=True)
class OwnedClasses:
    """The titles of the classes that the store manages; none: all of them. Titles are compared as a service may fold
    them, without case, outer spaces and Unicode form."""

    titles: tuple[str, ...] = ()
    _known: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def covers(self, class_title: str) -> bool:
        if not self.titles:
            return True
        known = self._known.get(class_title)
        if known is None:
            # A plan asks for each of very many samples, and they have few titles.
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[class_title] = fold_title(class_title) in set(map(fold_title, self.titles))
        return known

    def __bool__(self) -> bool:
        """Whether there are classes that the store does not manage."""
        return bool(self.titles)


ALL_CLASSES = OwnedClasses()
"""The store manages every class of its model."""
