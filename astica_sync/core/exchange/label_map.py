"""From the labels of a data set to the classes of the store: the user's map, titles that cannot be, typing errors."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from astica_sync.core.gallery.safe_names import title_fault
from astica_sync.core.plan.similar_titles import NearTitle, find_near_titles

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class LabelTable:
    """What each label becomes. ``titles`` has the class of each one that is imported, ``faults`` why others cannot be
    a class, and ``dropped`` are those that the user maps to nothing. ``near`` are new classes that may be typing errors
    of others, ``numbers`` labels that say nothing about what is in the image, and ``unused`` labels of the map that
    the data set does not have."""

    titles: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    near: tuple[NearTitle, ...] = ()
    numbers: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def parse_map(lines: Iterable[str]) -> dict[str, str]:
    """The map of lines ``label=class``; the last ``=`` divides. Empty lines and comments (``#``) are skipped.

    Raises:
        ValueError: a line has no ``=`` or no label, or two lines give one label two classes; the message quotes it.
    """
    mapping: dict[str, str] = {}
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        label, equals, title = line.rpartition("=")
        label, title = label.strip(), title.strip()
        if not equals or not label:
            raise ValueError(f"{line.strip()[:200]!r} is not LABEL=CLASS")
        if mapping.get(label, title) != title:
            raise ValueError(f"{label[:200]!r} is mapped to {mapping[label][:100]!r} and to {title[:100]!r}")
        mapping[label] = title
    return mapping


def make_label_table(
    labels: Collection[str], mapping: Mapping[str, str], existing: Collection[str], confirmed: Collection[str] = ()
) -> LabelTable:
    """What each of the ``labels`` becomes in a store with the classes ``existing``.

    ``confirmed`` are new titles that the user has named as meant.
    """
    titles: dict[str, str] = {}
    faults: dict[str, str] = {}
    dropped = set()
    for label in sorted(labels):
        title = unicodedata.normalize("NFC", mapping.get(label, label).strip())
        if label in mapping and not title:
            dropped.add(label)
        elif not title:
            faults[label] = "it has no label"
        elif fault := title_fault(title):
            faults[label] = f"its label cannot be a class: {fault}"
        else:
            titles[label] = title
    new = sorted({*titles.values()} - {*existing, *confirmed})
    near = find_near_titles(new, existing)
    known = {one.title for one in near}
    seen: list[str] = []
    for title in new:
        if title not in known:
            # Labels that the data set itself spells in two ways.
            near += find_near_titles([title], seen)
            seen.append(title)
    return LabelTable(
        titles,
        faults,
        frozenset(dropped),
        tuple(near),
        tuple(label for label in titles if _NUMBER.fullmatch(titles[label])),
        tuple(sorted(label for label in mapping if label not in labels)),
    )
