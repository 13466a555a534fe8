"""Labels that a data set spells in several ways: which spelling is meant."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from astica_sync.core.plan.similar_titles import NearTitle


def map_ignoring_case(labels: Counter[str], mapping: Mapping[str, str], existing: Collection[str]) -> dict[str, str]:
    """The user's ``mapping`` and, for labels that differ only in case, the class that all of them become: the mapped
    one, else the ``existing`` one, else the spelling of most images."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels, key=lambda label: (-labels[label], label)):
        spellings[fold(label)].append(label)
    mapped = {fold(label): title for label, title in mapping.items()}
    classes = {fold(title): title for title in sorted(existing)}
    merged = {label: title for label, title in mapping.items() if fold(label) not in spellings}
    for folded, variants in spellings.items():
        title = mapped.get(folded, classes.get(folded, variants[0]))
        for label in variants:
            merged[label] = mapping.get(label, label if label in existing and folded not in mapped else title)
    return {label: title for label, title in merged.items() if label in mapping or label != title}


def prefer_most_images(
    near: Sequence[NearTitle], images: Mapping[str, int], existing: Collection[str]
) -> tuple[NearTitle, ...]:
    """The same pairs; of new classes that are nearly the same, the one with most ``images`` is meant."""
    meant: dict[str, str] = {}

    def main_of(title: str) -> str:
        while title in meant:
            title = meant[title]
        return title

    for one in near:
        if one.existing not in existing:
            more, less = sorted((main_of(one.title), main_of(one.existing)), key=lambda title: (-images[title], title))
            if more != less:
                meant[less] = more
    kept = [one for one in near if one.existing in existing]
    return (*kept, *(NearTitle(title, main_of(title), both_new=True) for title in sorted(meant)))


def differ_in_case_only(one: NearTitle) -> bool:
    return fold(one.title) == fold(one.existing)


def fold(text: str) -> str:
    """The text without the difference between small and capital letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).strip().casefold())
