"""A cache of detections and fingerprints, so that the same question is not sent twice.

An answer is kept under all that tells its version from another: the addresses, the model and when it was made, and the
version's name and date. The cache may be deleted at any time. Where it cannot be opened, the process uses a private one
in memory.
"""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from astica_sync.core.versions.confidence import LARGEST_SHARE, Confidence, ConfidenceRange
from astica_sync.core.versions.version import VersionKey
from astica_sync.local.db.cache_file import open_cache
from astica_sync.local.db.migrations import make_schema

if TYPE_CHECKING:
    from sqlite_utils import Database


def _tables(database: "Database") -> None:
    database.execute(
        "CREATE TABLE detection (model_id INTEGER NOT NULL, version TEXT NOT NULL, content TEXT NOT NULL,"
        " label TEXT NOT NULL, confidence REAL NOT NULL, PRIMARY KEY (model_id, version, content)) WITHOUT ROWID"
    )
    database.execute("CREATE TABLE likeness (content TEXT PRIMARY KEY, hash BLOB NOT NULL) WITHOUT ROWID")


def _keyed_by_service(database: "Database") -> None:
    # What was cached before does not tell which service it came from.
    database.execute("DROP TABLE detection")
    database.execute(
        "CREATE TABLE detection (service TEXT NOT NULL, model_id INTEGER NOT NULL, model_created REAL NOT NULL,"
        " version TEXT NOT NULL, trained REAL NOT NULL, content TEXT NOT NULL, label TEXT NOT NULL, confidence REAL,"
        " percent_sign INTEGER NOT NULL, PRIMARY KEY (service, model_id, model_created, version, trained, content))"
        " WITHOUT ROWID"
    )
    database.execute("DROP TABLE likeness")
    database.execute("CREATE TABLE fingerprint (content TEXT PRIMARY KEY, print BLOB NOT NULL) WITHOUT ROWID")


SCHEMA = make_schema(
    "cache of detections",
    (_tables, _keyed_by_service),
    when_newer="delete the file: it is a cache",
    when_damaged="delete the file: it is a cache",
)


def hash_bytes(data: bytes) -> str:
    """The content hash of an image in memory."""
    return xxhash.xxh3_128_hexdigest(data)


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """The answer of a version for one image: ``label`` is "" where it named no class."""

    label: str
    confidence: Confidence | None


_OF_VERSION = "service = ? AND model_id = ? AND model_created = ? AND version = ? AND trained = ?"


def _values(key: VersionKey) -> tuple[object, ...]:
    return key.service, key.model_id, key.model_created_at, key.name, key.trained_at


def _confidence(value: object, percent_sign: object) -> Confidence | None:
    return Confidence(value, bool(percent_sign)) if isinstance(value, float) else None


class Detections:
    """One connection to the cache, for the thread that opened it. What cannot be written is silently lost."""

    def __init__(self, path: Path) -> None:
        self._connection = open_cache(path, SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def get(self, key: VersionKey, content: str) -> CachedAnswer | None:
        """The answer, if this version has classified these bytes before."""
        found = self._one(
            f"SELECT label, confidence, percent_sign FROM detection WHERE {_OF_VERSION} AND content = ?",  # noqa: S608
            (*_values(key), content),
        )
        return None if found is None else CachedAnswer(found[0], _confidence(found[1], found[2]))

    def put(self, key: VersionKey, content: str, answer: CachedAnswer) -> None:
        confidence = answer.confidence
        self._write(
            "INSERT OR REPLACE INTO detection VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *_values(key),
                content,
                answer.label,
                None if confidence is None else confidence.value,
                confidence is not None and confidence.percent_sign,
            ),
        )

    def confidence_range(self, key: VersionKey) -> ConfidenceRange:
        """The range of the confidences that this version has answered with."""
        found = self._one(
            "SELECT count(*), total(confidence > 0 AND confidence < 1),"  # noqa: S608
            f" total(confidence > {LARGEST_SHARE}) FROM detection WHERE {_OF_VERSION}"
            " AND confidence IS NOT NULL AND NOT percent_sign",
            _values(key),
        )
        return ConfidenceRange(found[0], int(found[1]), int(found[2])) if found else ConfidenceRange()

    def fingerprint(self, content: str) -> bytes | None:
        """What an image looks like, if it was computed before; see ``training.similarity``."""
        found = self._one("SELECT print FROM fingerprint WHERE content = ?", (content,))
        return None if found is None else bytes(found[0])

    def put_fingerprint(self, content: str, fingerprint: bytes) -> None:
        self._write("INSERT OR REPLACE INTO fingerprint VALUES (?, ?)", (content, fingerprint))

    def _one(self, query: str, values: tuple[object, ...]) -> Any:
        with contextlib.suppress(sqlite3.Error):
            return self._connection.execute(query, values).fetchone()
        return None

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(statement, values)
