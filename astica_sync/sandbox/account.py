"""The account: models, classes, samples and versions in SQLite, and images as files.

No row is deleted: a removal sets its time in the row, so that a view can lag and ids never repeat. Several threads
share one account; each change is one transaction.
"""

import contextlib
import hashlib
import html
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from astica_sync.sandbox.account_paths import AccountPaths, create_part
from astica_sync.sandbox.switches import Switches
from astica_sync.sqlite import Schema, open_database

_ANOTHER = "Use another --data folder."

_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, type TEXT NOT NULL, purpose TEXT NOT NULL,
  tags TEXT NOT NULL, created REAL NOT NULL, removed REAL);
CREATE TABLE IF NOT EXISTS classes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL REFERENCES models (id), title TEXT NOT NULL,
  created REAL NOT NULL, removed REAL);
CREATE TABLE IF NOT EXISTS samples (
  id INTEGER PRIMARY KEY AUTOINCREMENT, class_id INTEGER NOT NULL REFERENCES classes (id), uid TEXT NOT NULL,
  size INTEGER NOT NULL, image TEXT NOT NULL, created REAL NOT NULL, removed REAL);
CREATE TABLE IF NOT EXISTS versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL REFERENCES models (id), name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL, started REAL NOT NULL, finished REAL);
CREATE INDEX IF NOT EXISTS classes_of_model ON classes (model_id, title);
CREATE INDEX IF NOT EXISTS samples_of_class ON samples (class_id);
CREATE INDEX IF NOT EXISTS samples_by_uid ON samples (uid) WHERE removed IS NULL;
CREATE INDEX IF NOT EXISTS samples_by_image ON samples (image) WHERE removed IS NULL;
"""


def _make_tables(db: sqlite3.Connection) -> None:
    for statement in filter(str.strip, _SCHEMA.split(";")):
        db.execute(statement)


_DATABASE = Schema("database of the sandbox", 1, _make_tables, _ANOTHER, _ANOTHER)

# Each kind of id counts from its own start, so that an id of the wrong kind is never right by accident.
_FIRST_IDS = {"models": 1001, "classes": 5001, "versions": 20001, "samples": 100001}


class NotFound(LookupError):
    """There is no such model, class or sample; the text says which kind it is."""


class UidTaken(ValueError):
    """A sample with this uid exists, and uids may not repeat."""


def fold(title: str) -> str:
    """The title without case and outer spaces, for comparisons."""
    return unicodedata.normalize("NFC", title).strip().casefold()


class Account:
    """One account in one folder; ``now`` returns the current time in seconds, for the times in the rows.

    Raises:
        OSError: the folder cannot be written, is another user's, has links in it, or its database names other files.
        DatabaseError: its database is not that of a sandbox.
    """

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self.now = now
        self._folder = AccountPaths(folder)
        self._lock = threading.RLock()
        self._db = open_database(self._folder.database, _DATABASE, busy_s=5, durable=False, one_thread=False)
        try:
            # A killed process loses nothing; a power cut may lose data, which is acceptable in a sandbox.
            self._db.execute("PRAGMA synchronous = OFF")
            for (image,) in self.rows("SELECT DISTINCT image FROM samples"):
                self._folder.image(image)
            for (name,) in self.rows("SELECT name FROM versions"):
                self._folder.version(name)
        except BaseException:
            self._db.close()
            raise
        with self.change() as db:
            for table, first in _FIRST_IDS.items():
                db.execute(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT ?, ? "
                    "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)",
                    (table, first - 1, table),
                )

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rows(self, query: str, *values: object, **named: object) -> list[tuple[Any, ...]]:
        """The rows of a query with parameters as ``?`` or as ``:name``."""
        with self._lock:
            return self._db.execute(query, named or values).fetchall()

    def add_model(self, title: str, kind: str, purpose: str, tags: str) -> int:
        with self.change() as db:
            return _id(
                db.execute(
                    "INSERT INTO models (title, type, purpose, tags, created) VALUES (?, ?, ?, ?, ?)",
                    (title, kind, purpose, tags, self.now()),
                )
            )

    def has_model(self, model_id: int) -> bool:
        return bool(self.rows("SELECT 1 FROM models WHERE id = ? AND removed IS NULL", model_id))

    def add_class(self, model_id: int, title: str) -> int:
        """Adds a class, even where one of that title exists."""
        with self.change() as db:
            return self._add_class(db, model_id, title)

    def _add_class(self, db: sqlite3.Connection, model_id: int, title: str) -> int:
        self._find(db, "models", model_id)
        return _id(
            db.execute("INSERT INTO classes (model_id, title, created) VALUES (?, ?, ?)", (model_id, title, self.now()))
        )

    def add_sample(self, model_id: int, title: str, uid: str, content: bytes, switches: Switches) -> int:
        """Adds an image to the class of that title; the class is added if there is none.

        Raises:
            NotFound: there is no such model.
            UidTaken: the uid exists, and ``repeated_uids`` refuses it.
        """
        if switches.uid_length is not None:
            uid = uid[: switches.uid_length]
        with self.change() as db:
            self._find(db, "models", model_id)
            replaced: list[int] = []
            if uid and switches.repeated_uids != "allow":
                replaced = self.ids_of_uid(uid)
                if replaced and switches.repeated_uids == "refuse":
                    raise UidTaken(uid)
            class_id = self._class_for(db, model_id, title, switches.titles)
            image = self._store_image(content)
            sample_id = _id(
                db.execute(
                    "INSERT INTO samples (class_id, uid, size, image, created) VALUES (?, ?, ?, ?, ?)",
                    (class_id, uid, len(content), image, self.now()),
                )
            )
            for old in replaced:
                self._remove_sample(db, old, switches)
            return sample_id

    def add_many(self, model_id: int, title: str, uids: Iterable[str], content: bytes) -> None:
        """Adds one sample for each uid, all with the same image, to a class of exactly that title."""
        with self.change() as db:
            class_id = self._class_for(db, model_id, title, "exact")
            rest = (len(content), self._store_image(content), self.now())
            db.executemany(
                "INSERT INTO samples (class_id, uid, size, image, created) VALUES (?, ?, ?, ?, ?)",
                ((class_id, uid, *rest) for uid in uids),
            )

    def ids_of_uid(self, uid: str) -> list[int]:
        rows = self.rows("SELECT id FROM samples WHERE uid = ? AND removed IS NULL ORDER BY id", uid)
        return [row[0] for row in rows]

    def remove_samples(self, sample_ids: Iterable[int], switches: Switches) -> None:
        """Raises:
        NotFound: one of them does not exist; then none is removed.
        """
        with self.change() as db:
            for sample_id in sample_ids:
                self._remove_sample(db, sample_id, switches)

    def _remove_sample(self, db: sqlite3.Connection, sample_id: int, switches: Switches) -> None:
        self._find(db, "samples", sample_id)
        now = self.now()
        db.execute("UPDATE samples SET removed = ? WHERE id = ?", (now, sample_id))
        self._delete_unused_image(db, "SELECT image FROM samples WHERE id = ?", sample_id)
        if switches.empty_class == "goes":
            db.execute(
                "UPDATE classes SET removed = ? WHERE id = (SELECT class_id FROM samples WHERE id = ?) "
                "AND NOT EXISTS (SELECT 1 FROM samples WHERE class_id = classes.id AND removed IS NULL)",
                (now, sample_id),
            )

    def remove_class(self, class_id: int) -> None:
        """Raises:
        NotFound: no such class.
        """
        with self.change() as db:
            self._find(db, "classes", class_id)
            self._remove_class(db, class_id)

    def _remove_class(self, db: sqlite3.Connection, class_id: int) -> None:
        live = "class_id = ? AND removed IS NULL"
        images = [row[0] for row in db.execute(f"SELECT DISTINCT image FROM samples WHERE {live}", (class_id,))]  # noqa: S608
        db.execute(f"UPDATE samples SET removed = ? WHERE {live}", (self.now(), class_id))  # noqa: S608
        db.execute("UPDATE classes SET removed = ? WHERE id = ?", (self.now(), class_id))
        for image in images:
            self._delete_unused_image(db, "SELECT ?", image)

    def remove_model(self, model_id: int) -> None:
        """Removes a model with its classes, samples and versions.

        Raises:
            NotFound: no such model.
        """
        with self.change() as db:
            self._find(db, "models", model_id)
            classes = db.execute("SELECT id FROM classes WHERE model_id = ? AND removed IS NULL", (model_id,))
            for (class_id,) in classes.fetchall():
                self._remove_class(db, class_id)
            db.execute("UPDATE models SET removed = ? WHERE id = ?", (self.now(), model_id))
            names = db.execute("SELECT name FROM versions WHERE model_id = ?", (model_id,)).fetchall()
            db.execute("UPDATE versions SET state = 'removed' WHERE model_id = ?", (model_id,))
        for (name,) in names:
            self.version_file(name).unlink(missing_ok=True)

    def version_file(self, name: str) -> Path:
        """The file of a version."""
        return self._folder.version(name)

    def images_of(self, model_id: int) -> list[tuple[str, str, int, Path]]:
        """Every sample of the model: class title, uid, sample id, and the file of the image."""
        rows = self.rows(
            "SELECT c.title, s.uid, s.id, s.image FROM classes c JOIN samples s ON s.class_id = c.id "
            "WHERE c.model_id = ? AND c.removed IS NULL AND s.removed IS NULL ORDER BY s.id",
            model_id,
        )
        return [(title, uid, sample_id, self._folder.image(image)) for title, uid, sample_id, image in rows]

    def _find(self, db: sqlite3.Connection, table: str, row_id: int) -> None:
        live = db.execute(f"SELECT 1 FROM {table} WHERE id = ? AND removed IS NULL", (row_id,))  # noqa: S608
        if live.fetchone() is None:
            raise NotFound({"models": "Model", "classes": "Class", "samples": "Sample"}[table])

    def _class_for(self, db: sqlite3.Connection, model_id: int, title: str, titles: str) -> int:
        if titles == "fold":
            title = title.strip()
        elif titles == "html":
            title = html.escape(title)
        elif titles != "exact":
            title = unicodedata.normalize("NFC" if titles == "nfc" else "NFD", title)
        live = "SELECT id, title FROM classes WHERE model_id = ? AND removed IS NULL"
        found = db.execute(f"{live} AND title = ? ORDER BY id", (model_id, title)).fetchone()
        if found is None and titles == "fold":
            all_of_model = db.execute(f"{live} ORDER BY id", (model_id,))
            found = next((row for row in all_of_model if fold(row[1]) == fold(title)), None)
        return int(found[0]) if found else self._add_class(db, model_id, title)

    def _store_image(self, content: bytes) -> str:
        """Writes the image atomically, under the hash of its bytes."""
        image = hashlib.sha256(content).hexdigest()
        path = self._folder.image(image)
        if not path.exists():
            path.parent.mkdir(0o700, exist_ok=True)
            part, descriptor = create_part(path)
            with open(descriptor, "wb") as file:
                file.write(content)
            part.replace(path)
        return image

    def _delete_unused_image(self, db: sqlite3.Connection, query: str, value: object) -> None:
        """Deletes the image that the query returns, unless another sample uses it."""
        (image,) = db.execute(query, (value,)).fetchone()
        if db.execute("SELECT 1 FROM samples WHERE image = ? AND removed IS NULL", (image,)).fetchone() is None:
            self._folder.image(image).unlink(missing_ok=True)


def _id(cursor: sqlite3.Cursor) -> int:
    row_id = cursor.lastrowid
    assert row_id is not None
    return row_id
