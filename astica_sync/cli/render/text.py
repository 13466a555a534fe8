"""Words and figures for people: counts, times, names that cannot harm a terminal."""

import os
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astica_sync.core.plan.guard import Refusal

SHOWN = 10


def number(count: int, thing: str, things: str = "") -> str:
    """``1 sample``, ``2 samples``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {things or thing + 's'}"


def duration(seconds: float) -> str:
    """A time a person can plan with: ``under a second``, ``40 s``, ``12 min``, ``3 h 5 min``, ``2 d 4 h``."""
    if seconds < 1:
        return "under a second"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def safe(name: str) -> str:
    """A name as it can be printed: control, direction and undecodable characters are shown as escapes."""
    if name.isprintable() and not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for sign in name):
        return name
    return "".join(sign if _plain(sign) else sign.encode("unicode_escape").decode("ascii") for sign in name)


def _plain(sign: str) -> bool:
    return sign.isprintable() and unicodedata.category(sign) not in ("Cc", "Cf", "Cs")


def json_name(name: str) -> str:
    """A name as JSON can carry it: bytes that are no UTF-8 become ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Rows as columns that stand under each other, those whose place is in ``right`` by their ends. Counts what a
    terminal shows: some signs are two columns wide and some none."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            " " * (width - cell_len(cell)) + cell if place in right else cell + " " * (width - cell_len(cell))
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def first(lines: Iterable[str], total: int, shown: int = SHOWN) -> list[str]:
    """The first lines of a long list, and a word about the rest."""
    kept = [line for line, _ in zip(lines, range(shown), strict=False)]
    return [*kept, f"… and {total - shown:,} more (--json lists all)"] if total > shown else kept


def what_lets_go(refusals: "Iterable[Refusal]") -> str:
    """What a person does where a guard has refused."""
    if any(refusal.uploads for refusal in refusals):
        return "Look at the model on the service's page; if it was emptied there: astica-sync push --yes"
    return "If that is right: astica-sync push --yes, or --max-remove N."
