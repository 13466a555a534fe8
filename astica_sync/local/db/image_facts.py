"""A cache of what ``inspect`` measured of images, by content, and of how candidates for the same picture fit. A row
counts only with this user's seal. It may be deleted at any time; where it cannot be opened, the process uses a private
one in memory."""

import contextlib
import json
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from astica_sync.local.db.cache_file import open_cache
from astica_sync.local.db.row_seals import RowSeals
from astica_sync.local.db.run_migrations import make_schema
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


def _sealed(database: "Database") -> None:
    # What was cached before does not tell who has written it.
    for table in ("facts", "fit"):
        database.execute(f"DELETE FROM {table}")  # noqa: S608
        database.execute(f"ALTER TABLE {table} ADD COLUMN seal BLOB NOT NULL DEFAULT x''")


SCHEMA = make_schema(
    "cache of images",
    (_tables, _sealed),
    when_newer="delete the file: it is a cache",
    when_damaged="delete the file: it is a cache",
)
_KINDS = (int, int, float, float, float, str, bytes)


def _as_stored(facts: ImageFacts) -> tuple[object, ...]:
    """The values in the types that SQLite returns them in."""
    return tuple(kind(value) for value, kind in zip(facts, _KINDS, strict=True))


class ImageFactsCache:
    """One connection to the cache, for the thread that opened it. What cannot be written is silently lost."""

    def __init__(
        self, path: Path, seals: RowSeals | None = None, *, recipe: str = "", converted: Container[str] = ()
    ) -> None:
        """``seals`` are those of this user, by default with the secret in the state folder. What was measured of the
        images ``converted`` is that of what the recipe of this identity makes of them."""
        self._connection = open_cache(path, SCHEMA)
        self._seals = seals or RowSeals()
        self._recipe, self._converted = recipe, converted

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def find(self, contents: Iterable[str]) -> dict[str, ImageFacts]:
        """What is known of images, by content hash."""
        query = "SELECT * FROM facts WHERE content IN (SELECT value FROM json_each(?))"
        return {
            row[0].partition(" ")[0]: ImageFacts._make(row[1:-1])
            for row in self._rows(query, (json.dumps([self._name(content) for content in contents]),))
            # What a damaged cache has, or one of another user, is measured again.
            if all(isinstance(value, kind) for value, kind in zip(row[1:-1], _KINDS, strict=True))
            and self._seals.is_own(row[-1], "facts", *row[:-1])
        }

    def put(self, facts: Mapping[str, ImageFacts]) -> None:
        """Keeps what was measured, by content hash."""
        rows = ((self._name(content), *_as_stored(one)) for content, one in facts.items())
        self._write(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*row, self._seals.seal("facts", *row)) for row in rows),
        )

    def fits(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """How pairs of contents fit, where that is known."""
        query = (
            "SELECT one, other, data, seal FROM fit JOIN json_each(?) AS pair"
            " ON one = json_extract(pair.value, '$[0]') AND other = json_extract(pair.value, '$[1]')"
        )
        rows = self._rows(query, (json.dumps([self._names(pair) for pair in pairs]),))
        return {
            (one.partition(" ")[0], other.partition(" ")[0]): data
            for one, other, data, seal in rows
            if isinstance(data, bytes) and self._seals.is_own(seal, "fit", one, other, data)
        }

    def put_fits(self, fits: Mapping[tuple[str, str], bytes]) -> None:
        """Keeps how pairs of contents fit."""
        self._write(
            "INSERT OR REPLACE INTO fit VALUES (?, ?, ?, ?)",
            (
                (*names, data, self._seals.seal("fit", *names, data))
                for names, data in ((self._names(pair), data) for pair, data in fits.items())
            ),
        )

    def _names(self, pair: tuple[str, str]) -> tuple[str, str]:
        return self._name(pair[0]), self._name(pair[1])

    def _name(self, content: str) -> str:
        """What a row about an image is kept under."""
        return f"{content} {self._recipe}" if self._recipe and content in self._converted else content

    def _rows(self, query: str, values: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        with contextlib.suppress(sqlite3.Error):
            yield from self._connection.execute(query, values)

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with contextlib.suppress(sqlite3.Error), transaction(self._connection):
            self._connection.executemany(statement, list(rows))
