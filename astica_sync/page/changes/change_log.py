"""The changes of the page in SQLite, in the hidden folder of the store, for undo and redo across restarts.

A change is written before its first step, so that one that was cut off can be undone as far as it got. The file may
have come in a downloaded store, so each path in it is checked where it is used.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.core.gallery.page_change import Change, ChangeStep, Line, StepKind
from astica_sync.local.db.run_migrations import make_schema
from astica_sync.local.db.wal_safety import is_wal_safe
from astica_sync.sqlite import ErrorTranslation, open_database, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

_BUSY_S = 10.0


def _tables(database: "Database") -> None:
    database.execute(
        "CREATE TABLE change (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, label TEXT NOT NULL,"
        " undone INTEGER NOT NULL, batch TEXT NOT NULL)"
    )
    database.execute(
        "CREATE TABLE step (change_id INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,"
        " before BLOB NOT NULL, after BLOB NOT NULL, content TEXT NOT NULL, PRIMARY KEY (change_id, number))"
        " WITHOUT ROWID"
    )
    database.execute("CREATE INDEX step_removed ON step (content) WHERE kind = 'remove'")


SCHEMA = make_schema(
    "history of the page",
    (_tables,),
    when_newer="upgrade astica-sync",
    when_damaged="move it away: what was changed before can then not be undone on the page",
)


class ChangeLog:
    """One connection, for the thread that opened it.

    Raises from every method:
        DatabaseError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._translating = ErrorTranslation(path, SCHEMA)
        self._decoding = ErrorTranslation(path, SCHEMA, rows=True)
        self._connection: sqlite3.Connection = open_database(
            path, SCHEMA, busy_s=_BUSY_S, durable=True, wal=is_wal_safe(path)
        )

    def close(self) -> None:
        self._connection.close()

    def begin(self, label: str, steps: Sequence[ChangeStep], at: float, batch: str = "") -> int:
        """Writes a change before it is made; what was undone can no longer be redone. Returns its number."""
        with self._translating, transaction(self._connection):
            self._connection.execute("DELETE FROM step WHERE change_id IN (SELECT id FROM change WHERE undone)")
            self._connection.execute("DELETE FROM change WHERE undone")
            cursor = self._connection.execute(
                "INSERT INTO change (at, label, undone, batch) VALUES (?, ?, 0, ?)", (at, label, batch)
            )
            number = int(cursor.lastrowid or 0)
            self._insert(number, steps)
        return number

    def finish(self, number: int, steps: Sequence[ChangeStep], label: str, *, undone: bool = False) -> None:
        """Writes what a change has done; one that has done nothing is forgotten."""
        with self._translating, transaction(self._connection):
            self._connection.execute("DELETE FROM step WHERE change_id = ?", (number,))
            if steps:
                self._connection.execute(
                    "UPDATE change SET undone = ?, label = ? WHERE id = ?", (undone, label, number)
                )
                self._insert(number, steps)
            else:
                self._connection.execute("DELETE FROM change WHERE id = ?", (number,))

    def find_batch(self, batch: str) -> Change | None:
        """The last change, if it is of this batch and can be extended."""
        last = self.last()
        with self._decoding:
            row = self._connection.execute("SELECT batch FROM change ORDER BY id DESC LIMIT 1").fetchone()
        return last if last is not None and row is not None and row[0] == batch else None

    def last(self) -> Change | None:
        """The change that undo would undo."""
        return self._read("SELECT id, at, label, undone FROM change WHERE NOT undone ORDER BY id DESC LIMIT 1")

    def next(self) -> Change | None:
        """The change that redo would make again."""
        return self._read("SELECT id, at, label, undone FROM change WHERE undone ORDER BY id LIMIT 1")

    def line(self) -> Line:
        with self._decoding:
            undo = self._connection.execute("SELECT label FROM change WHERE NOT undone ORDER BY id DESC").fetchone()
            redo = self._connection.execute("SELECT label FROM change WHERE undone ORDER BY id").fetchone()
            return Line(None if undo is None else str(undo[0]), None if redo is None else str(redo[0]))

    def removed_path(self, content: str) -> str:
        """The last path from which a file with this content was removed; "" where none is known."""
        query = "SELECT before FROM step WHERE kind = 'remove' AND content = ? ORDER BY change_id DESC LIMIT 1"
        with self._decoding:
            row = self._connection.execute(query, (content,)).fetchone()
            return "" if row is None else os.fsdecode(row[0])

    def _read(self, query: str) -> Change | None:
        with self._decoding:
            row = self._connection.execute(query).fetchone()
            if row is None:
                return None
            rows = self._connection.execute(
                "SELECT kind, before, after, content FROM step WHERE change_id = ? ORDER BY number", (row[0],)
            )
            steps = tuple(
                ChangeStep(StepKind(kind), os.fsdecode(before), os.fsdecode(after), str(content))
                for kind, before, after, content in rows
            )
            return Change(int(row[0]), float(row[1]), str(row[2]), steps, bool(row[3]))

    def _insert(self, number: int, steps: Sequence[ChangeStep]) -> None:
        self._connection.executemany(
            "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?)",
            (
                (number, place, str(step.kind), os.fsencode(step.before), os.fsencode(step.after), step.content)
                for place, step in enumerate(steps)
            ),
        )
