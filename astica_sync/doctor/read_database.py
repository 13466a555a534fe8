"""Reads a database of a store without changing it; commands would set a damaged one aside."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

BUSY_S = 2.0


@contextlib.contextmanager
def read_database(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can only read. Texts that are not UTF-8 are decoded as file names are.

    Raises:
        sqlite3.Error: it cannot be opened, or a query fails.
    """
    # As a URI, since a name may have a question mark in it.
    address = f"{file.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as opened:
        opened.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        yield opened
