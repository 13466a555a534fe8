"""A cache of what ``inspect`` measured of images, by content, and of how candidates for the same picture fit. It may be
deleted at any time; where it cannot be opened, the process uses a private one in memory."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from astica_sync.local.db.cache_file import open_cache
from astica_sync.local.db.migrations import make_schema
from astica_sync.sqlite import transaction

if TYPE_CHECKING:
    from sqlite_utils import Database


class ImageFacts(NamedTuple):
    """What was measured of one image. ``problem`` is why it cannot be decoded, "" where it can. Then ``picture`` is
    what ``likeness`` keeps of it. ``brightness`` and ``contrast`` are in levels, and so is ``sharpness``, that of its
    finest edges."""

    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float
    problem: str
    picture: bytes


def _tables(database: "Database") -> None:
    database.execute(
        "CREATE TABLE facts (content TEXT PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL,"
        " brightness REAL NOT NULL, contrast REAL NOT NULL, sharpness REAL NOT NULL, problem TEXT NOT NULL,"
        " picture BLOB NOT NULL) WITHOUT ROWID"
    )
    database.execute(
        "CREATE TABLE fit (one TEXT NOT NULL, other TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (one, other))"
        " WITHOUT ROWID"
    )


SCHEMA = make_schema(
    "cache of images",
    (_tables,),
    when_newer="delete the file: it is a cache",
    when_damaged="delete the file: it is a cache",
)
_KINDS = (int, int, float, float, float, str, bytes)


class ImageFactsCache:
    """One connection to the cache, for the thread that opened it. What cannot be written is silently lost."""

    def __init__(self, path: Path) -> None:
        self._connection = open_cache(path, SCHEMA)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def find(self, contents: Iterable[str]) -> dict[str, ImageFacts]:
        """What is known of images, by content hash."""
        query = "SELECT * FROM facts WHERE content IN (SELECT value FROM json_each(?))"
        return {
            row[0]: ImageFacts._make(row[1:])
            for row in self._rows(query, (json.dumps(list(contents)),))
            # What a damaged cache has is measured again.
            if all(isinstance(value, kind) for value, kind in zip(row[1:], _KINDS, strict=True))
        }

    def put(self, facts: Mapping[str, ImageFacts]) -> None:
        """Keeps what was measured, by content hash."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", ((c, *f) for c, f in facts.items()))

    def fits(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """How pairs of contents fit, where that is known."""
        query = (
            "SELECT one, other, data FROM fit JOIN json_each(?) AS pair"
            " ON one = json_extract(pair.value, '$[0]') AND other = json_extract(pair.value, '$[1]')"
        )
        rows = self._rows(query, (json.dumps(list(pairs)),))
        return {(one, other): data for one, other, data in rows if isinstance(data, bytes)}

    def put_fits(self, fits: Mapping[tuple[str, str], bytes]) -> None:
        """Keeps how pairs of contents fit."""
        self._write("INSERT OR REPLACE INTO fit VALUES (?, ?, ?)", ((*pair, data) for pair, data in fits.items()))

    def _rows(self, query: str, values: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        with contextlib.suppress(sqlite3.Error):
            yield from self._connection.execute(query, values)

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with contextlib.suppress(sqlite3.Error), transaction(self._connection):
            self._connection.executemany(statement, list(rows))
