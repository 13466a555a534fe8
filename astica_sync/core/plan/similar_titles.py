"""Class titles that differ from another one by a typing error.

An upload creates its class if there is none, without a message. A folder ``Bottel`` next to a class ``Bottle`` would
split the data set, so the user confirms such a title before anything is uploaded to it.
"""

import unicodedata
from collections.abc import Collection, Container, Iterable
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
    """A new class of the store, and the class that may have been meant: one of the service, or, where ``both_new`` is
    set, another one of the store."""

    title: str
    existing: str
    both_new: bool = False


def titles_to_confirm(
    classes: Collection[str], existing: Collection[str], sent: Collection[str], accepted: Container[str]
) -> list[NearTitle]:
    """Which new classes of a store the user has to confirm: their titles are similar to one of an ``existing`` class of
    the service, or nearly the same as that of another new one.

    ``sent`` are titles under which the store has sent something, which may not be shown yet. Who has ``accepted`` one
    of two titles that are nearly the same knows of the other.
    """
    new = {title for title in set(classes).difference(existing, sent) if title not in accepted}
    near = find_near_titles(new, existing)
    near += find_same_titles(new - {entry.title for entry in near}, set(sent).difference(existing))
    return [
        entry
        for entry in near
        if entry.existing not in accepted or not find_same_titles([entry.title], [entry.existing])
    ]


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


def find_same_titles(new: Iterable[str], others: Iterable[str]) -> list[NearTitle]:
    """The new titles that differ from one of the ``others``, or from a new one before them in sort order, by case,
    outer spaces, Unicode form, invisible characters or letters of another alphabet that look the same."""
    first = {_plain(title): title for title in sorted(others, reverse=True)}
    found = []
    for title in sorted(new):
        other = first.setdefault(_plain(title), title)
        if other != title:
            found.append(NearTitle(title, other, both_new=True))
    return found


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
