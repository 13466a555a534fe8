"""A cache of detections and perceptual hashes, so that the same question is not sent twice.

It may be deleted at any time. Where it cannot be opened, the process uses a private one in memory.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from astica_sync.errors import DatabaseError
from astica_sync.local.db.migrations import make_schema
from astica_sync.local.db.wal import is_wal_safe
from astica_sync.sqlite import open_database, open_memory

if TYPE_CHECKING:
    from sqlite_utils import Database

BUSY_S = 2.0


def _tables(database: "Database") -> None:
    database.execute(
        "CREATE TABLE detection (model_id INTEGER NOT NULL, version TEXT NOT NULL, content TEXT NOT NULL,"
        " label TEXT NOT NULL, confidence REAL NOT NULL, PRIMARY KEY (model_id, version, content)) WITHOUT ROWID"
    )
    database.execute("CREATE TABLE likeness (content TEXT PRIMARY KEY, hash BLOB NOT NULL) WITHOUT ROWID")


SCHEMA = make_schema(
    "cache of detections",
    (_tables,),
    when_newer="delete the file: it is a cache",
    when_damaged="delete the file: it is a cache",
)


def hash_bytes(data: bytes) -> str:
    """The content hash of an image in memory."""
    return xxhash.xxh3_128_hexdigest(data)


class Detections:
    """One connection to the cache, for the thread that opened it. What cannot be written is silently lost."""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = open_database(path, SCHEMA, busy_s=BUSY_S, durable=False, wal=is_wal_safe(path))
        except DatabaseError:
            self._connection = open_memory(SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def get(self, model_id: int, version: str, content: str) -> tuple[str, float] | None:
        """Label and confidence, if this version has classified these bytes before."""
        found = self._one(
            "SELECT label, confidence FROM detection WHERE model_id = ? AND version = ? AND content = ?",
            (model_id, version, content),
        )
        return None if found is None else (found[0], found[1])

    def put(self, model_id: int, version: str, content: str, label: str, confidence: float) -> None:
        self._write(
            "INSERT OR REPLACE INTO detection VALUES (?, ?, ?, ?, ?)", (model_id, version, content, label, confidence)
        )

    def likeness(self, content: str) -> bytes | None:
        """The perceptual hash of an image, if it was computed before."""
        found = self._one("SELECT hash FROM likeness WHERE content = ?", (content,))
        return None if found is None else bytes(found[0])

    def put_likeness(self, content: str, likeness: bytes) -> None:
        self._write("INSERT OR REPLACE INTO likeness VALUES (?, ?)", (content, likeness))

    def _one(self, query: str, values: tuple[object, ...]) -> Any:
        with contextlib.suppress(sqlite3.Error):
            return self._connection.execute(query, values).fetchone()
        return None

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(statement, values)
