"""A cache of the features of images by content. A row counts only with this user's seal. It may be deleted at any
time; where it cannot be opened, the process uses a private one in memory."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.local.db.cache_file import open_cache
from astica_sync.local.db.row_seals import RowSeals
from astica_sync.local.db.run_migrations import make_schema
from astica_sync.sqlite import transaction

if TYPE_CHECKING:
    from sqlite_utils import Database


def _tables(database: "Database") -> None:
    database.execute(
        "CREATE TABLE feature (extractor TEXT NOT NULL, content TEXT NOT NULL, row BLOB NOT NULL,"
        " PRIMARY KEY (extractor, content)) WITHOUT ROWID"
    )


def _sealed(database: "Database") -> None:
    # What was cached before does not tell who has written it.
    database.execute("DROP TABLE feature")
    database.execute(
        "CREATE TABLE feature (extractor TEXT NOT NULL, content TEXT NOT NULL, row BLOB NOT NULL, seal BLOB NOT NULL,"
        " PRIMARY KEY (extractor, content)) WITHOUT ROWID"
    )


SCHEMA = make_schema(
    "cache of features",
    (_tables, _sealed),
    when_newer="delete the file: it is a cache",
    when_damaged="delete the file: it is a cache",
)


class FeatureCache:
    """One connection to the cache, for the thread that opened it. What cannot be written is silently lost."""

    def __init__(self, path: Path, seals: RowSeals | None = None) -> None:
        """``seals`` are those of this user, by default with the secret in the state folder."""
        self._connection = open_cache(path, SCHEMA)
        self._seals = seals or RowSeals()

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def find(self, extractor: str, contents: Iterable[str]) -> dict[str, bytes]:
        """The rows that are known, by content hash."""
        query = (
            "SELECT content, row, seal FROM feature WHERE extractor = ? AND content IN (SELECT value FROM json_each(?))"
        )
        with contextlib.suppress(sqlite3.Error):
            # One value, since SQLite takes a limited number of them.
            rows = self._connection.execute(query, (extractor, json.dumps(list(contents))))
            return {
                content: row
                for content, row, seal in rows
                if isinstance(row, bytes) and self._seals.is_own(seal, "feature", extractor, content, row)
            }
        return {}

    def put(self, extractor: str, rows: Mapping[str, bytes]) -> None:
        """Keeps the rows by content hash."""
        with contextlib.suppress(sqlite3.Error), transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO feature VALUES (?, ?, ?, ?)",
                [
                    (extractor, content, row, self._seals.seal("feature", extractor, content, row))
                    for content, row in rows.items()
                ],
            )
