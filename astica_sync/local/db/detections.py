"""A cache of detections and fingerprints, so that the same question is not sent twice.

An answer is kept under all that tells its version from another: the addresses, the model and when it was made, and the
version's name and date. A row counts only with this user's seal. The cache may be deleted at any time. Where it cannot
be opened, the process uses a private one in memory.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from astica_sync.core.versions.confidence_unit import Confidence, ConfidenceRange
from astica_sync.core.versions.version import VersionKey
from astica_sync.local.db.cache_file import open_cache
from astica_sync.local.db.row_seals import RowSeals
from astica_sync.local.db.run_migrations import make_schema
from astica_sync.sqlite import transaction

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


def _sealed(database: "Database") -> None:
    # What was cached before does not tell who has written it.
    database.execute("DROP TABLE detection")
    database.execute(
        "CREATE TABLE detection (service TEXT NOT NULL, model_id INTEGER NOT NULL, model_created REAL NOT NULL,"
        " version TEXT NOT NULL, trained REAL NOT NULL, content TEXT NOT NULL, label TEXT NOT NULL, confidence REAL,"
        " percent_sign INTEGER NOT NULL, seal BLOB NOT NULL,"
        " PRIMARY KEY (service, model_id, model_created, version, trained, content)) WITHOUT ROWID"
    )
    database.execute("DROP TABLE fingerprint")
    database.execute(
        "CREATE TABLE fingerprint (content TEXT PRIMARY KEY, print BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID"
    )


SCHEMA = make_schema(
    "cache of detections",
    (_tables, _keyed_by_service, _sealed),
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
_KEY = "service = ? AND model_id = ? AND model_created = ? AND version = ? AND trained = ? AND content = ?"
_KEY_COLUMNS = 6


def _values(key: VersionKey) -> tuple[Any, ...]:
    return key.service, key.model_id, float(key.model_created_at), key.name, float(key.trained_at)


def _confidence(value: object, percent_sign: object) -> Confidence | None:
    return Confidence(value, bool(percent_sign)) if isinstance(value, float) else None


class Detections:
    """One connection to the cache, for the thread that opened it. What cannot be written is silently lost."""

    def __init__(self, path: Path, seals: RowSeals | None = None) -> None:
        """``seals`` are those of this user, by default with the secret in the state folder."""
        self._connection = open_cache(path, SCHEMA)
        self._seals = seals or RowSeals()

    def close(self) -> None:
        self._connection.close()

    def get(self, key: VersionKey, content: str) -> CachedAnswer | None:
        """The answer, if this version has classified these bytes before."""
        found = self._one(f"SELECT * FROM detection WHERE {_KEY}", (*_values(key), content))  # noqa: S608
        return CachedAnswer(found[6], _confidence(found[7], found[8])) if found and self._is_own(found) else None

    def put(self, key: VersionKey, content: str, answer: CachedAnswer) -> None:
        confidence = answer.confidence
        row = (
            *_values(key),
            content,
            answer.label,
            None if confidence is None else float(confidence.value),
            int(confidence is not None and confidence.percent_sign),
        )
        self._write(
            "INSERT OR REPLACE INTO detection VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, self._seals.seal("detection", *row)),
        )

    def confidence_range(self, key: VersionKey) -> ConfidenceRange:
        """The range of the confidences that this version has answered with."""
        found = ConfidenceRange()
        for row in self._all(f"SELECT * FROM detection WHERE {_OF_VERSION}", _values(key)):  # noqa: S608
            if self._is_own(row):
                found.add(_confidence(row[7], row[8]))
        return found

    def remove_foreign(self) -> int:
        """Removes the answers that this user's program has not written, and returns their number. It looks at one
        answer, and at all of them where that one is foreign."""
        if not self._seals.works:
            return 0
        first = self._one("SELECT * FROM detection LIMIT 1", ())
        if first is None or self._is_own(first):
            return 0
        foreign = [row[:_KEY_COLUMNS] for row in self._all("SELECT * FROM detection", ()) if not self._is_own(row)]
        with contextlib.suppress(sqlite3.Error), transaction(self._connection):
            self._connection.executemany(f"DELETE FROM detection WHERE {_KEY}", foreign)  # noqa: S608
        return len(foreign)

    def fingerprint(self, content: str) -> bytes | None:
        """What an image looks like, if it was computed before; see ``training.similarity``."""
        found = self._one("SELECT print, seal FROM fingerprint WHERE content = ?", (content,))
        return found[0] if found and self._seals.is_own(found[1], "fingerprint", content, found[0]) else None

    def put_fingerprint(self, content: str, fingerprint: bytes) -> None:
        seal = self._seals.seal("fingerprint", content, fingerprint)
        self._write("INSERT OR REPLACE INTO fingerprint VALUES (?, ?, ?)", (content, fingerprint, seal))

    def _is_own(self, row: tuple[Any, ...]) -> bool:
        """Whether this user's program has written this row of ``detection``."""
        return self._seals.is_own(row[-1], "detection", *row[:-1])

    def _one(self, query: str, values: tuple[Any, ...]) -> Any:
        with contextlib.suppress(sqlite3.Error):
            return self._connection.execute(query, values).fetchone()
        return None

    def _all(self, query: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        with contextlib.suppress(sqlite3.Error):
            yield from self._connection.execute(query, values)

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(statement, values)
