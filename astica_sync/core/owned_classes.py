"""Which classes of a model a store manages, where several stores divide them: the setting ``owns``."""

from dataclasses import dataclass, field

from astica_sync.core.model import fold_title


@dataclass(frozen=True, slots=True)
class OwnedClasses:
    """The titles of the classes that the store manages; none: all of them. Titles are compared as a service may fold
    them, without case, outer spaces and Unicode form."""

    titles: tuple[str, ...] = ()
    _folded: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_folded", frozenset(map(fold_title, self.titles)))

    def covers(self, class_title: str) -> bool:
        return not self.titles or fold_title(class_title) in self._folded

    def __bool__(self) -> bool:
        """Whether there are classes that the store does not manage."""
        return bool(self.titles)


ALL_CLASSES = OwnedClasses()
"""The store manages every class of its model."""
