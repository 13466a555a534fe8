"""Rows of two columns in pages, for comparisons of a million of them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from operator import ge, gt
from typing import Any

from astica_sync.core.model import CONTENT_LENGTH

ROWS = 4096

RowPage = tuple[tuple[str, ...], tuple[Any, ...]]


def in_pages(rows: Iterable[tuple[str, Any]], *, repeats: bool, least: int = ROWS) -> Iterator[RowPage]:
    """Pages of at least ``least`` rows, by columns. The first column, which must be sorted, begins with a content hash;
    rows of one content stay together. ``repeats``: it may have a value more than once.

    Raises:
        ValueError: the rows are not sorted. A flipped byte in an index of SQLite has this effect, and SQLite does not
            detect it.
    """
    out_of_order = gt if repeats else ge
    rest = iter(rows)
    last = ""
    page = list(islice(rest, least))
    while page:
        content = page[-1][0][:CONTENT_LENGTH]
        following: list[tuple[str, Any]] = []
        for row in rest:
            if row[0][:CONTENT_LENGTH] != content:
                following.append(row)
                break
            page.append(row)
        keys, values = zip(*page, strict=True)
        if keys[0] <= last or any(map(out_of_order, keys, islice(keys, 1, None))):
            raise ValueError(f"not sorted after {last!r}")
        last = keys[-1]
        yield keys, values
        following.extend(islice(rest, least - 1))
        page = following
