"""Class titles that differ from another one by a typing error.

An upload creates its class if there is none, without a message. A folder ``Bottel`` next to a class ``Bottle`` would
split the data set, so the user confirms such a title before anything is uploaded to it.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

SHORTEST = 4
"""Words of three letters differ by one letter too often (cat, car, can) to be taken for typing errors."""


@dataclass(frozen=True, slots=True)
class NearTitle:
    """A new class of the store, and the class of the service that may have been meant."""

    title: str
    existing: str


def find_near_titles(new: Iterable[str], existing: Iterable[str]) -> list[NearTitle]:
    """The new titles that differ from an existing one by case, outer spaces, Unicode form, or one letter.

    One letter is one letter more, less or other, or two swapped. Titles that differ in a digit (``class 1``,
    ``class 2``) are different on purpose.
    """
    known = {title: _plain(title) for title in sorted(set(existing))}
    near = []
    for title in sorted(set(new) - known.keys()):
        plain = _plain(title)
        match = next((other for other, its_plain in known.items() if _is_near(plain, its_plain)), None)
        if match is not None:
            near.append(NearTitle(title, match))
    return near


def is_near(title: str, other: str) -> bool:
    """Whether two different titles differ by a typing error only."""
    return _is_near(_plain(title), _plain(other))


def _is_near(one: str, two: str) -> bool:
    if one == two:
        return True
    if min(len(one), len(two)) < SHORTEST or abs(len(one) - len(two)) > 1:
        return False
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    end = 0
    while end < min(len(one), len(two)) - start and one[-1 - end] == two[-1 - end]:
        end += 1
    left, right = one[start : len(one) - end], two[start : len(two) - end]
    if any(sign.isdigit() for sign in left + right):
        return False
    swapped = len(left) == 2 and left == right[::-1]
    return swapped or max(len(left), len(right)) == 1


def _plain(title: str) -> str:
    return unicodedata.normalize("NFKC", title).strip().casefold()
