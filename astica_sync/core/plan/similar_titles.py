"""Class titles that differ from another one by a typing error.

An upload creates its class if there is none, without a message. A folder ``Bottel`` next to a class ``Bottle`` would
split the data set, so the user confirms such a title before anything is uploaded to it.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

SHORTEST = 4
"""Words of three letters differ by one letter too often (cat, car, can) to be taken for typing errors."""

_LOOKALIKES = str.maketrans(
    # Small Cyrillic and Greek letters that look like Latin ones, after the confusables of Unicode TS 39.
    "\u0430\u0435\u0456\u0458\u043e\u0440\u0441\u0443\u0445\u0455\u04bb\u051b\u051d\u0501\u043a\u043c\u0442\u043d\u0432"
    "\u03b1\u03bf\u03c1\u03bd\u03c5\u03ba\u03c4\u03b9\u03c7\u03b3",
    "aeijopcyxshqwdkmthbaopvuktixy",
)


@dataclass(frozen=True, slots=True)
class NearTitle:
    """A new class of the store, and the class of the service that may have been meant."""

    title: str
    existing: str


def find_near_titles(new: Iterable[str], existing: Iterable[str]) -> list[NearTitle]:
    """The new titles that differ from an existing one by case, outer spaces, Unicode form, invisible characters,
    letters of another alphabet that look the same, or one letter.

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
    folded = unicodedata.normalize("NFKC", title).casefold()
    if not folded.isascii():
        folded = "".join(letter for letter in folded if unicodedata.category(letter) != "Cf").translate(_LOOKALIKES)
    return folded.strip()
