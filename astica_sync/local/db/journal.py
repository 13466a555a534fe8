"""The journal: what was attempted and agreed, and the history of every change, in SQLite. It must survive.

Every commit is durable when the call returns, so that a mark is durable before its request is sent (promise 5). If the
journal is lost all the same, one observation rebuilds it: samples on the service are adopted by their uid.
docs/dev/databases.md describes its tables.
"""

import contextlib
import itertools
import json
import math
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from astica_sync.core.model import Mark, MarkState, is_uid
from astica_sync.local.db.row_pages import RowPage, in_pages
from astica_sync.local.db.run_migrations import make_schema, open_with_sqlite_utils
from astica_sync.local.db.wal_safety import is_wal_safe
from astica_sync.local.jsonl import parse_json
from astica_sync.sqlite import ErrorTranslation, open_database, refuse_fork

if TYPE_CHECKING:
    from sqlite_utils import Database

BUSY_S = 10.0


def _tables(database: "Database") -> None:
    database.execute(
        "CREATE TABLE mark (uid TEXT PRIMARY KEY, class TEXT NOT NULL, state TEXT NOT NULL, sent_at REAL,"
        " run TEXT NOT NULL, path BLOB NOT NULL) WITHOUT ROWID"
    )
    database.execute(
        "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, run TEXT NOT NULL,"
        " action TEXT NOT NULL, class TEXT NOT NULL, uid TEXT NOT NULL, path BLOB NOT NULL, sample_id INTEGER,"
        " outcome TEXT NOT NULL, reason TEXT NOT NULL)"
    )
    database.execute(
        "CREATE TABLE bad (uid TEXT PRIMARY KEY, class TEXT NOT NULL, path BLOB NOT NULL, reason TEXT NOT NULL,"
        " at REAL NOT NULL) WITHOUT ROWID"
    )
    database.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


def _removed_ids(database: "Database") -> None:
    database.execute("ALTER TABLE mark ADD COLUMN removed TEXT")


SCHEMA = make_schema(
    "journal",
    (_tables, _removed_ids),
    when_newer="upgrade astica-sync",
    when_damaged="move it away: the next push rebuilds its marks from the samples on the service",
)
MOST_EVENTS = 1 << 53
"""So many events are never written; a higher number was planted."""
_T = TypeVar("_T")


class Event(NamedTuple):
    """One line of the history: what was done to one sample or class, when, and the outcome.

    ``at`` is in seconds since the epoch; ``action`` one of "upload", "remove", "remove-class", "adopt", "forget",
    "prune", "hold-out" (``reason`` is the place of the held-out file, "" when it is back), "give-up" (another store
    manages its class now), "train"; ``outcome`` one of "done", "refused", "unknown", "not done". For a whole class
    ``uid`` and ``path`` are empty; for "prune" ``uid`` is a content hash, since the image was removed for every class.
    """

    at: float
    run: str
    action: str
    class_title: str
    uid: str
    path: str
    sample_id: int | None
    outcome: str
    reason: str


class BadSample(NamedTuple):
    """A sample that is not tried again until its bytes change or the user asks for it (promise 9)."""

    uid: str
    class_title: str
    path: str
    reason: str
    at: float


class Journal:
    """One connection to the journal, for the thread that opened it. Times are in seconds since the epoch.

    Raises from every method:
        DatabaseError: locked for longer than the allowed wait, damaged, or not writable; nothing was changed.
    """

    def __init__(self, path: Path, run: str = "", busy_s: float = BUSY_S) -> None:
        """``run`` identifies this run of the program in what it writes.

        Raises:
            DatabaseError: it cannot be opened, is damaged, or a newer version wrote it.
        """
        self.path = path
        self.run = run
        self._pid = os.getpid()
        self._translating = ErrorTranslation(path, SCHEMA)
        self._decoding = ErrorTranslation(path, SCHEMA, rows=True)
        self._transaction = _Transaction(self)
        self._connection = open_database(path, SCHEMA, busy_s=busy_s, durable=True, wal=is_wal_safe(path))
        self._refuse_full_history()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def commit(self) -> contextlib.AbstractContextManager[None]:
        """Groups calls: all of them are durable when the outermost block ends, or none is."""
        refuse_fork(self._pid)
        return _INSIDE if self._transaction.is_open else self._transaction

    def marks_name(self) -> str:
        """A string that differs for any two states of all marks; "" before the first mark."""
        return str(self.get_meta(MARKS_NAME, ""))

    def foreign_writes(self) -> int:
        """A number that changes when another process has written."""
        return next(self._read("PRAGMA data_version", (), lambda row: int(row[0])))

    def marks(self, contents: Sequence[str] | None = None) -> Iterator[Mark]:
        """Every mark, sorted by uid, as a stream that must be read to its end before writing. With ``contents``, which
        must be sorted, only the marks of these."""
        if contents is not None:
            for content in contents:
                yield from self.marks_of(content)
            return
        last = ""

        def next_mark(row: _MarkRow) -> Mark:
            nonlocal last
            mark = _mark(row)
            if mark.uid <= last:
                # A flipped byte in an index of SQLite has this effect, and SQLite does not detect it.
                raise ValueError(mark.uid)
            last = mark.uid
            return mark

        yield from self._read(f"{_MARK} ORDER BY uid", (), next_mark)

    def pages(self) -> Iterator[RowPage]:
        """The uids of all marks, sorted, and their states; no content is split between two pages."""
        refuse_fork(self._pid)
        with self._decoding:
            # A sample of which some ids were removed is compared one by one.
            query = "SELECT uid, iif(removed IS NULL, state, 'removed') FROM mark ORDER BY uid"
            yield from in_pages(self._connection.execute(query), repeats=False)

    def mark(self, uid: str) -> Mark | None:
        return next(self._read(f"{_MARK} WHERE uid = ?", (uid,), _mark), None)

    def has_sample(self, uid: str) -> bool:
        """Whether it has a mark of the sample that is not *removed*."""
        mark = self.mark(uid)
        return mark is not None and mark.state is not MarkState.REMOVED

    def classes(self) -> list[str]:
        """The titles of all classes with marks, sorted."""
        return list(self._read("SELECT DISTINCT class FROM mark ORDER BY class", (), lambda row: str(row[0])))

    def has_class(self, class_title: str) -> bool:
        """Whether the class has any mark."""
        return any(self._read("SELECT 1 FROM mark WHERE class = ? LIMIT 1", (class_title,), bool))

    def marks_of(self, content: str) -> list[Mark]:
        """The marks of every sample with this content hash, in all classes."""
        return list(
            self._read(f"{_MARK} WHERE uid >= ? AND uid < ? ORDER BY uid", (f"{content}-", f"{content}."), _mark)
        )

    def sent_marks(self, limit: int) -> list[Mark]:
        """Some agreed marks of samples that this store has sent."""
        query = f"SELECT * FROM ({_MARK} LIMIT 4096) WHERE state = 'agreed' AND sent_at IS NOT NULL LIMIT ?"  # noqa: S608
        return list(self._read(query, (limit,), _mark))

    def is_bad(self, uid: str) -> bool:
        """Whether the sample itself failed and is not tried again."""
        return any(self._read("SELECT 1 FROM bad WHERE uid = ?", (uid,), bool))

    def attempt(self, places: Iterable[tuple[str, str, str]], at: float) -> None:
        """Marks each (uid, class, path) as *attempted*, sent at ``at`` by this run; before the request leaves. The ids
        of copies that were removed just before stay in the mark, each with a minus sign, after the sample id 0: a view
        that lags may show them again."""
        gone = "'0,-' || replace(nullif(ltrim(mark.removed, '0,'), ''), ',', ',-')"
        self._write_many(
            "INSERT INTO mark VALUES (?, ?, 'attempted', ?, ?, ?, NULL) ON CONFLICT (uid) DO UPDATE SET"  # noqa: S608
            " class = excluded.class, state = excluded.state, sent_at = excluded.sent_at, run = excluded.run,"
            f" path = excluded.path, removed = iif(mark.state = 'removed', {gone}, NULL)",
            ((uid, title, at, self.run, os.fsencode(path)) for uid, title, path in places),
        )

    def attempt_removal(self, samples: Iterable[tuple[str, str, str, int]], at: float) -> None:
        """Marks each (uid, class, path, sample id) as *attempted*, its removal sent at ``at`` by this run; before the
        request leaves. A copy of it that appears late is still ours. An upload of unknown outcome before it is kept in
        mind as the sample id 0."""
        self._write_many(
            "INSERT INTO mark VALUES (?, ?, 'attempted', ?, ?, ?, ?) ON CONFLICT (uid) DO UPDATE SET"
            " class = excluded.class, state = excluded.state, sent_at = excluded.sent_at, run = excluded.run,"
            " path = excluded.path, removed = CASE WHEN mark.removed IS NULL"
            " THEN iif(mark.state = 'attempted', '0,', '') || excluded.removed"
            " WHEN instr(',' || mark.removed || ',', ',' || excluded.removed || ',') THEN mark.removed"
            " ELSE mark.removed || ',' || excluded.removed END",
            ((uid, title, at, self.run, os.fsencode(path), str(number)) for uid, title, path, number in samples),
        )

    def confirm_removed(self, uids: Iterable[str], at: float, upload_open: bool = False) -> None:
        """Marks samples as *removed*: the service confirmed it at ``at``. ``upload_open``: an upload before that may
        still be carried out, which stays noted."""
        removed = "replace(removed, '-', '')" if upload_open else "ltrim(replace(removed, '-', ''), '0,')"
        self._write_many(
            f"UPDATE mark SET state = 'removed', sent_at = ?, run = ?, removed = {removed} WHERE uid = ?",  # noqa: S608
            ((at, self.run, uid) for uid in uids),
        )

    def confirm_copy_removed(self, uid: str, sample_id: int) -> None:
        """Notes that the service has confirmed the removal of one copy of a sample, while that of another copy is open:
        the id is kept with a minus sign, and the sample stays *attempted*."""
        self._write_many(
            "UPDATE mark SET removed = trim(replace(',' || removed || ',', ?, ?), ',') WHERE uid = ?",
            [(f",{sample_id},", f",-{sample_id},", uid)],
        )

    def confirm_extras_removed(self, uids: Iterable[str], at: float) -> None:
        """Marks samples as *agreed* whose superfluous copies the service has removed, confirmed at ``at``; the ids of
        these stay in the mark."""
        self._write_many(
            "UPDATE mark SET state = 'agreed', sent_at = ?, run = ?, removed = ltrim(replace(removed, '-', ''), '0,')"
            " WHERE uid = ?",
            ((at, self.run, uid) for uid in uids),
        )

    def resend_at(self, uids: Iterable[str], at: float) -> None:
        """Changes the time of sending of requests with unknown outcome: the quarantine counts from their end."""
        self._write_many("UPDATE mark SET sent_at = ?, run = ? WHERE uid = ?", ((at, self.run, uid) for uid in uids))

    def agree(self, places: Iterable[tuple[str, str, str]], at: float | None = None) -> None:
        """Marks each (uid, class, path) as *agreed*; without ``at`` the last time of sending stays as it is."""
        self._write_many(
            "INSERT INTO mark VALUES (?, ?, 'agreed', ?, ?, ?, NULL) ON CONFLICT (uid) DO UPDATE SET"
            " class = excluded.class, state = excluded.state, sent_at = coalesce(excluded.sent_at, mark.sent_at),"
            " run = iif(excluded.sent_at IS NULL, mark.run, excluded.run), path = excluded.path, removed = NULL",
            ((uid, title, at, self.run, os.fsencode(path)) for uid, title, path in places),
        )

    def restore(self, mark: Mark) -> None:
        """Restores a mark as it was before an attempt that has proved to have done nothing."""
        ids = (-one if one in mark.gone_ids else one for one in mark.removed_ids)
        removed = ",".join(map(str, ((0,) * mark.upload_open + tuple(ids)))) or None
        row = (mark.uid, mark.class_title, str(mark.state), mark.sent_at, mark.run, os.fsencode(mark.path), removed)
        self._write_many(
            "INSERT OR REPLACE INTO mark (uid, class, state, sent_at, run, path, removed) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [row],
        )

    def forget(self, uids: Iterable[str]) -> None:
        """Removes marks: the samples are neither in the store nor on the service."""
        self._write_many("DELETE FROM mark WHERE uid = ?", ((uid,) for uid in uids))

    def record(self, events: Iterable[Event]) -> None:
        """Adds to the history."""
        self._write_many(
            _RECORD,
            ((*event[:5], os.fsencode(event.path), *event[6:]) for event in events),
        )

    def record_sent(self, events: Iterable[Event]) -> list[int]:
        """Adds to the history what is about to be sent, as of unknown outcome, so that it is noted whatever becomes of
        this run. Returns numbers with which ``withdraw`` takes it out again when the outcome is known."""
        numbers = []
        with self.commit(), self._translating:
            for event in events:
                row = (*event[:5], os.fsencode(event.path), *event[6:])
                numbers.append(int(self._connection.execute(_RECORD, row).lastrowid or 0))
        return numbers

    def withdraw(self, numbers: Iterable[int]) -> None:
        """Takes events of ``record_sent`` out of the history."""
        self._write_many("DELETE FROM history WHERE id = ?", ((number,) for number in numbers))

    def history(
        self, limit: int | None = None, since: float | None = None, titles: Sequence[str] = ()
    ) -> Iterator[Event]:
        """The history, newest first: the last ``limit`` events at ``since`` or later, of all classes or of some."""
        classes = f" AND class IN ({', '.join('?' * len(titles))})" if titles else ""
        return self._query_events(
            f"{_EVENT} WHERE at >= ?{classes} ORDER BY id DESC LIMIT ?",
            (float("-inf") if since is None else since, *titles, -1 if limit is None else limit),
        )

    def titles_in_history(self) -> list[str]:
        """The classes to which something was done, sorted."""
        query = "SELECT DISTINCT class FROM history WHERE class <> '' ORDER BY class"
        return list(self._read(query, (), lambda row: str(row[0])))

    def last_change_at(self) -> float | None:
        """When the last request that changes samples was settled; None if there was none."""
        query = (
            "SELECT at FROM history WHERE action IN ('upload', 'remove', 'remove-class') AND outcome <> 'refused'"
            " ORDER BY id DESC LIMIT 1"
        )
        return next(self._read(query, (), lambda row: float(row[0])), None)

    def removals_since(self, since: float, reasons: Sequence[str]) -> dict[str, int]:
        """How many samples were removed for these reasons at ``since`` or later, by class title. A removal without an
        answer counts as well, and one that was repeated counts once. Reads the whole history: a clock that was wrong
        for one entry hides no other."""
        of_reasons = " OR ".join(["reason = ? OR reason LIKE ?"] * len(reasons))
        query = (
            "SELECT class, count(DISTINCT uid || ' ' || coalesce(sample_id, '')) FROM history"  # noqa: S608
            " WHERE at >= ? AND action IN ('remove', 'remove-class') AND outcome IN ('done', 'unknown')"
            f" AND ({of_reasons}) GROUP BY class"
        )
        texts = [text for reason in reasons for text in (reason, f"{reason}: %")]
        return dict(self._read(query, (since, *texts), lambda row: (str(row[0]), int(row[1]))))

    def held_out(self) -> dict[str, str]:
        """Where ``split`` has moved samples that were not back in the store or uploaded again since, by uid; reads the
        whole history."""
        if not self.get_meta(HOLDS_OUT):
            return {}
        query = f"{_EVENT} WHERE action IN ('hold-out', 'upload') AND id >= ({_FIRST_HOLD_OUT}) ORDER BY id"
        places: dict[str, str] = {}
        for event in self._query_events(query, ()):
            if event.action == "hold-out" and event.reason and is_uid(event.uid):
                places[event.uid] = event.reason
            else:
                places.pop(event.uid, None)
        return places

    def hold_out(self, samples: Iterable[tuple[str, str, str, str]], at: float) -> None:
        """Records that each (uid, class, path, place) was moved to its place, or is back in the store, where that is
        ""."""
        events = [
            Event(at, self.run, "hold-out", title, uid, path, None, "done", place)
            for uid, title, path, place in samples
        ]
        with self.commit():
            self.record(events)
            if any(event.reason for event in events):
                self.set_meta(HOLDS_OUT, True)

    def events_of(self, uids: Sequence[str]) -> Iterator[Event]:
        """The events of some samples, oldest first; reads the whole history."""
        # One value, since SQLite takes a limited number of them.
        query = f"{_EVENT} WHERE uid IN (SELECT value FROM json_each(?)) ORDER BY id"  # noqa: S608
        return self._query_events(query, (json.dumps(list(uids)),))

    def set_bad(self, samples: Iterable[BadSample]) -> None:
        """Records samples that failed themselves."""
        self._write_many(
            "INSERT OR REPLACE INTO bad VALUES (?, ?, ?, ?, ?)",
            ((uid, title, os.fsencode(path), reason, at) for uid, title, path, reason, at in samples),
        )

    def bad(self) -> Iterator[BadSample]:
        """Every sample that is not tried again, sorted by uid."""
        return self._read(
            "SELECT uid, class, path, reason, at FROM bad ORDER BY uid",
            (),
            lambda row: BadSample._make((*row[:2], os.fsdecode(row[2]), *row[3:])),
        )

    def clear_bad(self, uids: Iterable[str] | None = None) -> None:
        """Removes samples from those not tried again; without ``uids`` all of them."""
        if uids is None:
            self._write_many("DELETE FROM bad", [()])
        else:
            self._write_many("DELETE FROM bad WHERE uid = ?", ((uid,) for uid in uids))

    def get_meta(self, key: str, default: Any = None) -> Any:
        found = self._read("SELECT value FROM meta WHERE key = ?", (key,), lambda row: _sound(key, parse_json(row[0])))
        return next(found, default)

    def set_meta(self, key: str, value: Any) -> None:
        """Stores a JSON value."""
        self._write_many(_SET_META, [(key, json.dumps(value))])

    def _write_many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self.commit(), self._translating:
            self._connection.executemany(statement, rows)
            if " mark " in statement:
                self._transaction.has_marks = True

    def _refuse_full_history(self) -> None:
        """After the highest number there is no next one, so what is done from then on would not be noted.

        Raises:
            Damaged: the history has such a number, which was planted.
        """
        highest = 0
        with contextlib.suppress(sqlite3.Error):
            # What cannot be read is reported by who needs it.
            highest = self._connection.execute("SELECT max(id) FROM history").fetchone()[0] or 0
        if highest > MOST_EVENTS:
            self._connection.close()
            with self._decoding:
                raise ValueError(highest)

    def _query_events(self, query: str, values: tuple[object, ...]) -> Iterator[Event]:
        """Reads the history, which few commands do, through sqlite-utils."""
        refuse_fork(self._pid)
        with self._decoding:
            for row in open_with_sqlite_utils(self._connection).query(query, values):
                yield _event(*row.values())

    def _read(self, query: str, values: tuple[object, ...], make: Callable[[Any], _T]) -> Iterator[_T]:
        refuse_fork(self._pid)
        with self._decoding:
            for row in self._connection.execute(query, values):
                yield make(row)


class _Transaction:
    """The outermost block of ``Journal.commit``. It is used for one transaction after another."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # No two states of the marks have the same name, even if an earlier copy of the file was restored.
        self._names = (f"{os.urandom(6).hex()}-{number}" for number in itertools.count())
        self.is_open = False
        self.has_marks = False

    def __enter__(self) -> None:
        self._execute("BEGIN IMMEDIATE")
        self.is_open = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                if self.has_marks:
                    self._execute(_SET_META, MARKS_NAME, json.dumps(next(self._names)))
                self._execute("COMMIT")
        finally:
            self.is_open = self.has_marks = False
            # After a commit there is no transaction; after an error SQLite may have ended it.
            if self._journal._connection.in_transaction:
                self._journal._connection.execute("ROLLBACK")

    def _execute(self, statement: str, *values: str) -> None:
        with self._journal._translating:
            self._journal._connection.execute(statement, values)


_INSIDE = contextlib.nullcontext()


MARKS_NAME = "marks_name"
HOLDS_OUT = "holds_out"
_SET_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
# Calling the enumeration takes longer than the rest of reading a mark.
_STATES = {str(state): state for state in MarkState}
_RECORD = (
    "INSERT INTO history (at, run, action, class, uid, path, sample_id, outcome, reason)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_EVENT = "SELECT at, run, action, class, uid, path, sample_id, outcome, reason FROM history"
_FIRST_HOLD_OUT = "SELECT min(id) FROM history WHERE action = 'hold-out'"
_MARK = "SELECT uid, class, state, sent_at, run, path, removed FROM mark"
_MarkRow = tuple[str, Any, str, Any, str, bytes, str | None]


def _event(at: float, run: str, action: str, class_title: str, uid: str, path: bytes, *rest: Any) -> Event:
    """The columns are those of ``_EVENT``; the last three, in ``rest``, are the last three fields."""
    texts = (run, action, class_title, uid, *rest[1:])
    if not (math.isfinite(at) and all(type(text) is str for text in texts)):
        raise ValueError(at)
    return Event(at, run, action, class_title, uid, os.fsdecode(path), *rest)


CONTENT = re.compile(r"[0-9a-f]{32}")
_NUMBER = (int, float)
_TRAINING: dict[str, tuple[type, ...]] = {
    "snapshot": (str,),
    "samples": (int,),
    "asked_at": _NUMBER,
    "answered": (bool,),
    "name": (str,),
    "trained_at": (*_NUMBER, type(None)),
    "known": (int,),
}


def _sound(key: str, value: Any) -> Any:
    """
    Raises:
        ValueError: the program never stores this value under this key.
    """
    sound = True
    if value is not None and key in ("training", "trained"):
        # Earlier releases did not store how many versions were known.
        sound = isinstance(value, dict) and _TRAINING.keys() - {"known"} <= value.keys() <= _TRAINING.keys()
        sound = sound and all(isinstance(value[name], _TRAINING[name]) for name in value)
        sound = sound and CONTENT.fullmatch(value["snapshot"]) is not None
    elif value is not None and key == "follows":
        sound = isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)
        sound = sound and CONTENT.fullmatch(value[1]) is not None
    if not sound:
        raise ValueError(value)
    return value


def _mark(row: _MarkRow) -> Mark:
    uid, title, state, sent_at, run, path, removed = row
    if not (is_uid(uid) and isinstance(title, str) and (sent_at is None or type(sent_at) is float)):
        raise ValueError(uid)
    mark = Mark(uid, title, _STATES.get(state) or MarkState(state), sent_at, run, os.fsdecode(path))
    if removed is None:
        return mark
    ids = tuple(map(int, removed.split(",")))
    requested = tuple(dict.fromkeys(abs(one) for one in ids if one))
    gone = tuple(one for one in requested if one not in ids)
    return replace(mark, removed_ids=requested, upload_open=0 in ids, gone_ids=gone)
