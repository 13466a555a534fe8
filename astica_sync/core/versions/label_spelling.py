"""Which class the answer of a version names: a service may spell a title otherwise than it was sent."""

from collections import Counter
from collections.abc import Iterable

from astica_sync.core.model import fold_title


class LabelSpelling:
    """Spells the labels of one version as the titles of the images that it is compared with.

    Another spelling of a title is that class only where it can be no other one: not where two of the titles differ in
    their spelling alone, nor where two classes of the version do. An answer of one class never counts as the other.
    """

    def __init__(self, titles: Iterable[str], classes: Iterable[str] = ()) -> None:
        """``classes`` are the titles that the version was trained on; none where they are not known."""
        self._titles = frozenset(titles)
        self._folded: dict[str, str] = {}
        apart = _apart(self._titles) | _apart(classes)
        for title in self._titles:
            folded = fold_title(title)
            if folded not in apart:
                self._folded[folded] = title

    def spell(self, label: str) -> str:
        """The title that the label is; the label itself where it is none of them."""
        return label if label in self._titles else self._folded.get(fold_title(label), label)


def _apart(titles: Iterable[str]) -> set[str]:
    """The folded titles that several titles have."""
    return {folded for folded, count in Counter(map(fold_title, set(titles))).items() if count > 1}
