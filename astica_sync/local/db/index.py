"""The index: a SQLite cache of the scan, with what each file of the store was when it was last read.

It may be deleted at any time; a scan fills it again. docs/dev/databases.md describes its tables.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import eq, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import xxhash

from astica_sync.core.model import LocalSample, Problem, make_scope, make_uid
from astica_sync.core.recipe import Recipe
from astica_sync.local.db.cache_file import BUSY_S, CacheFile
from astica_sync.local.db.row_pages import in_pages
from astica_sync.local.db.run_migrations import make_schema
from astica_sync.local.filesystem import Signature
from astica_sync.sqlite import Locked, refuse_fork

if TYPE_CHECKING:
    from sqlite_utils import Database

# A file changed within this time before its content was read may change again under the same times ("racy").
GRAIN_NS = 10_000_000
# How far the clock that stamps files may be behind, where it only advances with the system's timer.
TICK_NS = 4_000_000
# The same where times are stored in whole seconds; FAT stores them in steps of two.
COARSE_GRAIN_NS = 2_000_000_000

_BY_CONTENT = "CREATE INDEX IF NOT EXISTS file_content ON file (content, size) WHERE content IS NOT NULL"
# For so many files in an empty index, the SQL index by content is built at the end: hashes come in random order, and
# inserting them one by one takes several times as long as sorting them.
MANY_FILES = 5000


def _tables(database: "Database") -> None:
    database.execute(
        "CREATE TABLE folder (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, class TEXT, mounted INTEGER NOT NULL)"
    )
    database.execute(
        "CREATE TABLE file (folder_id INTEGER NOT NULL, name BLOB NOT NULL, size INTEGER NOT NULL,"
        " mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, checked_ns INTEGER NOT NULL,"
        " content TEXT, reason TEXT, PRIMARY KEY (folder_id, name)) WITHOUT ROWID"
    )
    database.execute(_BY_CONTENT)
    database.execute("CREATE INDEX file_reason ON file (folder_id) WHERE reason IS NOT NULL")
    database.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


def _seals(database: "Database") -> None:
    database.execute("ALTER TABLE folder ADD COLUMN seal BLOB")
    database.execute("ALTER TABLE folder ADD COLUMN filled INTEGER NOT NULL DEFAULT 0")


def _buckets(database: "Database") -> None:
    # From here on a folder has several digests.
    database.execute("UPDATE folder SET seal = NULL")
    database.execute("ALTER TABLE folder DROP COLUMN filled")


def _touched(database: "Database") -> None:
    database.execute("CREATE TABLE touched (content TEXT PRIMARY KEY) WITHOUT ROWID")


def _prepared(database: "Database") -> None:
    database.execute("CREATE TABLE prepared (content TEXT PRIMARY KEY, format TEXT NOT NULL) WITHOUT ROWID")


SCHEMA = make_schema(
    "index",
    (_tables, _seals, _buckets, _touched, _prepared),
    when_newer="upgrade astica-sync, or delete it: the next scan rebuilds it",
    when_damaged="run the command again: a scan rebuilds the index",
)


class Folder(NamedTuple):
    """One folder of the store, ``path`` relative to it. ``class_title`` is None where files belong to no class;
    ``mounted``: it is on another file system than the store. ``digests`` are those of its buckets
    (see ``list_directory``), made when the index had a row for each of their files and none needed a second reading."""

    folder_id: int
    path: bytes
    class_title: str | None
    mounted: bool
    digests: bytes | None = None


class File(NamedTuple):
    """One file as it was last read. ``content`` or ``reason`` is set, never both; ``checked_ns`` is when the reading
    began, on the file system's clock, or 0 if the next scan must read it again."""

    folder_id: int
    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    checked_ns: int
    content: str | None
    reason: str | None


Known = tuple[Signature | None, str | None, int]
"""The signature of a file that needs no second reading, else None; the reason where it is a problem; the inode."""

# Equal times prove nothing about a file that was changed at about the time of its reading (racy, in git's terms). The
# change time decides, and the modification time where a file system does not keep the former.
_NOT_RACY = (
    "ctime_ns < checked_ns - {grain} AND mtime_ns NOT BETWEEN checked_ns - {grain} AND checked_ns + {grain}"
).format(grain=f"iif(mtime_ns % 1000000000 OR ctime_ns % 1000000000, {GRAIN_NS}, {COARSE_GRAIN_NS})")
_KNOWN = f"SELECT name, size, mtime_ns, ctime_ns, inode, reason, {_NOT_RACY} FROM file WHERE folder_id = ?"  # noqa: S608
_CONTENT = "SELECT content FROM file WHERE folder_id = ? AND name = ? AND content IS NOT NULL"
_FILES = "SELECT content, size, folder_id, name FROM file"
_PLACED = "SELECT content, folder_id FROM file WHERE content IS NOT NULL"
# The number of a folder where the image is converted before it is sent is ~folder_id, which is negative.
_PLACED_BY_RECIPE = (
    "SELECT file.content, iif(format IS NULL, folder_id, ~folder_id) FROM file LEFT JOIN prepared USING (content)"
    " WHERE file.content IS NOT NULL"
)
_BATCH = 500
COMPARED = "compared"
RECIPE = "recipe"
CHANGE = "change"
_TOUCH = "INSERT OR IGNORE INTO touched SELECT content FROM file WHERE content IS NOT NULL AND"
_PLACES = (
    "SELECT folder.class, folder.path, file.name FROM file JOIN folder ON folder.id = file.folder_id"
    " WHERE file.content = ? AND folder.class IS NOT NULL"
)


class Index(CacheFile):
    """One connection to the index."""

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        super().__init__(path, SCHEMA, busy_s)
        self._identity: str | None = None

    @property
    def recipe_identity(self) -> str:
        """The recipe by which images are converted, as a part of their uids (see ``Recipe.identity``): that of this
        process, or else of the last scan."""
        if self._identity is None:
            recipe = self.recipe()
            self._identity = "" if recipe is None else recipe.identity
        return self._identity

    def use_recipe(self, recipe: Recipe) -> None:
        """Makes this the recipe of the process: another one, with other settings, may scan at the same time."""
        self._identity = recipe.identity

    def recipe_of(self, content: str) -> str:
        """The recipe that is a part of the uids of this image: "" where it is sent as it is."""
        return self.recipe_identity if self.recipe_identity and self.formats_of([content]) else ""

    def local_samples(self, model_id: int, contents: Sequence[str] | None = None) -> Iterator[LocalSample]:
        """Every sample once, sorted by uid, with all its files; memory use depends on the folders only.

        With ``contents``, which must be sorted, only the samples of these.
        """
        scopes, places = self._places(model_id)
        converted: Container[str] = ()
        if self.recipe_identity:
            converted = self.formats_of(contents) if contents is not None else self.prepared()
        recipe_scopes = {title: make_scope(model_id, title, self.recipe_identity) for title in scopes}
        with self._decoding:
            last = ""
            for content, group in groupby(self._files(contents), key=itemgetter(0)):
                if content <= last:
                    # A flipped byte in an index of SQLite has this effect, and SQLite does not detect it.
                    raise ValueError(content)
                last = content
                paths: dict[str, list[str]] = {}
                size = 0
                for row in group:
                    place = places.get(row[2])
                    if place is not None:
                        size = row[1]
                        paths.setdefault(place[0], []).append(place[1] + os.fsdecode(row[3]))
                by_title = recipe_scopes if content in converted else scopes
                for title in paths if len(paths) == 1 else sorted(paths, key=by_title.__getitem__):
                    yield LocalSample(make_uid(content, by_title[title]), title, tuple(sorted(paths[title])), size)

    def pages(self, model_id: int) -> Iterator[tuple[list[str], list[str]]]:
        """The uids of all samples, sorted, and their classes; no content is split between two pages."""
        scopes, places = self._places(model_id)
        titles = {number: place[0] for number, place in places.items()}
        endings = {number: "-" + scopes[title] for number, title in titles.items()}
        query = _PLACED
        if recipe := self.recipe_identity:
            query = _PLACED_BY_RECIPE
            by_recipe = {title: "-" + make_scope(model_id, title, recipe) for title in scopes}
            endings |= {~number: by_recipe[title] for number, title in titles.items()}
            titles |= {~number: title for number, title in titles.items()}
        refuse_fork(self._pid)
        with self._decoding:
            rows = self._connection.execute(f"{query} ORDER BY file.content")
            for contents, folders in in_pages(rows, repeats=True):
                if any(map(eq, contents, islice(contents, 1, None))) or not titles.keys() >= set(folders):
                    pairs = zip(contents, folders, strict=True)
                    found = {content + endings[number]: titles[number] for content, number in pairs if number in titles}
                    uids = sorted(found)
                    yield uids, [found[uid] for uid in uids]
                else:
                    uids = list(map(str.__add__, contents, map(endings.__getitem__, folders)))
                    yield uids, list(map(titles.__getitem__, folders))

    def _places(self, model_id: int) -> tuple[dict[str, str], dict[int, tuple[str, str]]]:
        """The scope of each class; and for each folder in a class, the class and the start of its files' paths."""
        scopes: dict[str, str] = {}
        places: dict[int, tuple[str, str]] = {}
        for folder in self.folders().values():
            if folder.class_title is not None:
                scopes.setdefault(folder.class_title, make_scope(model_id, folder.class_title))
                places[folder.folder_id] = folder.class_title, join(folder.path, b"")
        return scopes, places

    def _files(self, contents: Sequence[str] | None) -> Iterator[Any]:
        if contents is None:
            yield from self._rows(f"{_FILES} WHERE content IS NOT NULL ORDER BY content")
            return
        for start in range(0, len(contents), _BATCH):
            some = contents[start : start + _BATCH]
            yield from self._rows(
                f"{_FILES} WHERE content IN ({', '.join('?' * len(some))}) ORDER BY content", tuple(some)
            )

    def problems(self) -> Iterator[Problem]:
        """Every file that cannot be a sample, by path."""
        rows = self._rows(
            # A cross join keeps this order: otherwise all files of each folder are read to find the few with a reason.
            "SELECT folder.path, file.name, file.reason FROM file CROSS JOIN folder ON folder.id = file.folder_id"
            " WHERE file.reason IS NOT NULL ORDER BY folder.path, file.name"
        )
        with self._decoding:
            for folder, name, reason in rows:
                yield Problem(join(folder, name), reason)

    def totals(self) -> tuple[int, int, int]:
        """The number of classes with a sample, of samples, and of their files."""
        totals = self.get_meta("totals")
        if totals is None:
            per_class = list(
                self._rows(
                    "SELECT folder.class, count(DISTINCT content), count(*) FROM file"
                    " JOIN folder ON folder.id = file.folder_id WHERE content IS NOT NULL AND class IS NOT NULL"
                    " GROUP BY folder.class"
                )
            )
            totals = [len(per_class), sum(row[1] for row in per_class), sum(row[2] for row in per_class)]
            self.write(lambda connection: _set_meta(connection, "totals", totals))
        return totals[0], totals[1], totals[2]

    def samples_by_class(self) -> dict[str, int]:
        """The number of samples of each class that has any."""
        rows = self._rows(
            "SELECT folder.class, count(DISTINCT content) FROM file JOIN folder ON folder.id = file.folder_id"
            " WHERE content IS NOT NULL AND class IS NOT NULL GROUP BY folder.class"
        )
        return dict(rows)

    def paths_of(self, class_title: str, content: str) -> list[str]:
        """All files of one sample, sorted."""
        rows = self._rows(f"{_PLACES} AND folder.class = ?", (content, class_title))
        with self._decoding:
            return sorted(join(folder, name) for _, folder, name in rows)

    def file_at(self, path: str) -> tuple[str | None, str | None] | None:
        """The content hash of the file at one path, or the reason why it is no image; None where there is no file."""
        folder, name = os.path.split(os.fsencode(path))
        query = (
            "SELECT content, reason FROM file JOIN folder ON folder.id = file.folder_id"
            " WHERE folder.path = ? AND file.name = ?"
        )
        row = next(self._rows(query, (folder, name)), None)
        return None if row is None else (row[0], row[1])

    def paths_with(self, content: str) -> list[str]:
        """All files with this content in any class, sorted."""
        return sorted(join(folder, name) for _, folder, name in self._rows(_PLACES, (content,)))

    def copies(self, most: int) -> list[tuple[str, ...]]:
        """Files of one class that have the same content, so many groups of them at the most. Nothing is read where
        there are as many files as samples."""
        _, samples, files = self.totals()
        found: list[tuple[str, ...]] = []
        if files <= samples:
            return found
        query = "SELECT content FROM file WHERE content IS NOT NULL GROUP BY content HAVING count(*) > 1"
        for (content,) in self._rows(query):
            per_class: dict[str, list[str]] = {}
            for title, folder, name in self._rows(_PLACES, (content,)):
                per_class.setdefault(title, []).append(join(folder, name))
            found += [tuple(sorted(paths)) for _, paths in sorted(per_class.items()) if len(paths) > 1]
            if len(found) >= most:
                break
        return found[:most]

    def divided_classes(self) -> list[tuple[str, ...]]:
        """The first-level folders of each class that has several: their names differ in their Unicode form alone."""
        folders: dict[str, list[str]] = {}
        for row in self._rows("SELECT class, path FROM folder WHERE class IS NOT NULL AND instr(path, x'2f') = 0"):
            folders.setdefault(row[0], []).append(os.fsdecode(row[1]))
        return [tuple(sorted(paths)) for _, paths in sorted(folders.items()) if len(paths) > 1]

    def in_two_formats(self, suffixes: Sequence[str], taken: Container[str], most: int) -> list[tuple[str, str]]:
        """So many samples at the most that are converted before they are sent, each with the sample of the same name
        beside it that ends in one of ``suffixes`` and is sent as it is. Of the formats ``taken`` none is looked at."""
        found: list[tuple[str, str]] = []
        rows = self._rows(
            "SELECT folder.id, folder.path, file.name, format FROM prepared CROSS JOIN file USING (content)"
            " CROSS JOIN folder ON folder.id = file.folder_id WHERE folder.class IS NOT NULL"
            " ORDER BY folder.path, file.name"
        )
        for (number, folder), group in groupby(rows, key=itemgetter(0, 1)):
            converted = [row[2] for row in group if row[3] not in taken]
            samples = self._rows("SELECT name FROM file WHERE folder_id = ? AND content IS NOT NULL", (number,))
            plain = {row[0] for row in samples}.difference(converted)
            for name in converted:
                stem = os.path.splitext(name)[0]  # noqa: PTH122 - a name of any bytes
                others = (stem + os.fsencode(suffix) for suffix in suffixes)
                found += [(join(folder, name), join(folder, other)) for other in others if other in plain][:1]
            if len(found) >= most:
                break
        return found[:most]

    def compared(self) -> tuple[Any, list[str]] | None:
        """What was last stored with ``note_compared``, and the contents of all files whose rows have changed since."""
        noted = self.get_meta(COMPARED)
        if noted is None or noted["sum"] != _sum(noted["noted"]):
            return None
        return noted["noted"], [row[0] for row in self._rows("SELECT content FROM touched")]

    def note_compared(self, noted: Any) -> None:
        """Stores a JSON value about the store as the index has it now."""

        def note(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM touched")
            _set_meta(connection, COMPARED, {"noted": noted, "sum": _sum(noted)})

        self.write(note)

    def get_meta(self, key: str) -> Any:
        with self._decoding:
            return _get_meta(self._connection, key)

    def set_meta(self, key: str, value: Any) -> None:
        self.write(lambda connection: _set_meta(connection, key, value))

    def forget(self, paths: Iterable[str]) -> None:
        """Makes the next scan read these files again."""
        places = [os.path.split(os.fsencode(path)) for path in paths]

        def forget(connection: sqlite3.Connection) -> None:
            connection.executemany("UPDATE folder SET seal = NULL WHERE path = ?", ((above,) for above, _ in places))
            connection.executemany(
                "UPDATE file SET checked_ns = 0 WHERE folder_id = (SELECT id FROM folder WHERE path = ?) AND name = ?",
                places,
            )

        self.write(forget)

    def folders(self) -> dict[bytes, Folder]:
        """All folders by their path relative to the store, which is itself b""."""
        rows = self._rows("SELECT id, path, class, mounted, seal FROM folder")
        return {row[1]: Folder._make(row) for row in rows}

    def is_mounted(self, path: str) -> bool:
        """Whether the folder was on another file system than the store at the last scan."""
        row = next(self._rows("SELECT mounted FROM folder WHERE path = ?", (os.fsencode(path),)), None)
        return row is not None and bool(row[0])

    def known(self, folder_id: int, changed_buckets: Sequence[int] = (), buckets: int = 0) -> dict[bytes, Known]:
        """What is known of every name in one folder, or only in some of its ``buckets``."""
        query = _KNOWN
        if len(changed_buckets) < buckets:
            query = f"{_KNOWN} AND inode % {buckets} IN ({', '.join(map(str, changed_buckets))})"
        return {row[0]: (row[1:5] if row[6] else None, row[5], row[4]) for row in self._rows(query, (folder_id,))}

    def content_at(self, folder_id: int, name: bytes) -> list[str]:
        """The content hash at one name, in a list; an empty list where there is none."""
        return [row[0] for row in self._rows(_CONTENT, (folder_id, name))]

    def prepared(self) -> dict[str, str]:
        """The format of every image that is converted before it is sent, by content hash; of former files as well."""
        with self._decoding:
            return dict(self._rows("SELECT content, format FROM prepared"))

    def formats_of(self, contents: Sequence[str]) -> dict[str, str]:
        """The format of those of these images that are converted before they are sent, by content hash."""
        found: dict[str, str] = {}
        for start in range(0, len(contents), _BATCH):
            some = contents[start : start + _BATCH]
            query = f"SELECT content, format FROM prepared WHERE content IN ({', '.join('?' * len(some))})"  # noqa: S608
            found.update(self._rows(query, tuple(some)))
        return found

    @property
    def change_mark(self) -> str:
        """A text that is another one after each change by which an image came to a place or left one, whichever process
        has scanned; "" before the first."""
        return str(self.get_meta(CHANGE) or "")

    def look_at_change_mark(self) -> str | None:
        """The same outside of a scan; None while another process holds the file, or this one uses a private copy."""
        if self.is_private:
            return None
        try:
            return self.change_mark
        except Locked:
            return None

    def recipe(self) -> Recipe | None:
        """The recipe of the last scan; None where that is not known."""
        with contextlib.suppress(ValueError, AttributeError):
            return Recipe.parse(self.get_meta(RECIPE))
        return None

    def note_recipe(self, recipe: Recipe) -> bool:
        """Stores the recipe of a scan; returns whether it is another one than at the last scan. Where the formats that
        are converted are others, makes this scan read the files again that they concern: those with a problem, and
        those that were converted and are not now."""
        self.use_recipe(recipe)
        if self.get_meta(RECIPE) == recipe.text:
            return False
        before = self.recipe()

        def forget(connection: sqlite3.Connection) -> None:
            kept = sorted(recipe.formats)
            left_out = f"FROM prepared WHERE format NOT IN ({', '.join('?' * len(kept))})"
            concerned = f"reason IS NOT NULL OR content IN (SELECT content {left_out})"
            connection.execute(
                f"UPDATE folder SET seal = NULL WHERE id IN (SELECT folder_id FROM file WHERE {concerned})",  # noqa: S608
                kept,
            )
            connection.execute(f"UPDATE file SET checked_ns = 0 WHERE {concerned}", kept)  # noqa: S608
            connection.execute(f"DELETE {left_out}", kept)

        def note(connection: sqlite3.Connection) -> None:
            if before is None or before.formats != recipe.formats:
                forget(connection)
            _set_meta(connection, RECIPE, recipe.text)

        self.write(note)
        return True

    def change(
        self,
        folders: Sequence[Folder],
        put: Sequence[File],
        drop: Sequence[tuple[int, bytes]],
        prepared: Sequence[tuple[str, str]] = (),
        *,
        moves: bool = False,
    ) -> None:
        """Writes folders, removes the files ``drop``, then writes the files ``put``, all in one transaction;
        ``prepared`` are contents among these that are converted before they are sent, with their format. ``moves``:
        with these rows an image comes to a place or leaves one."""

        def change(connection: sqlite3.Connection) -> None:
            if _get_meta(connection, COMPARED) is not None:
                _touch(connection, folders, put, drop)
            if len(put) >= MANY_FILES and connection.execute("SELECT 1 FROM file").fetchone() is None:
                connection.execute("DROP INDEX IF EXISTS file_content")
            connection.executemany("INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?, ?)", folders)
            # The digests of changed files have been invalidated by the caller. A folder with a problem has no digests.
            problems = {row.folder_id for row in put if not row.inode}
            connection.executemany("UPDATE folder SET seal = NULL WHERE id = ?", ((number,) for number in problems))
            connection.executemany("DELETE FROM file WHERE folder_id = ? AND name = ?", drop)
            connection.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", put)
            connection.executemany("INSERT OR REPLACE INTO prepared VALUES (?, ?)", prepared)
            connection.execute("DELETE FROM meta WHERE key = 'totals'")
            if moves:
                _mark_change(connection)

        if folders or put or drop:
            self.write(change)

    def ensure_content_index(self) -> None:
        """Builds the SQL index by content at the end of a scan, if the first scan of many files went without it."""
        if next(self._rows("SELECT 1 FROM sqlite_master WHERE name = 'file_content'"), None) is None:
            self.write(lambda connection: connection.execute(_BY_CONTENT))

    def drop_folders(self, folder_ids: Sequence[int]) -> None:
        """Removes folders and all their files."""

        def change(connection: sqlite3.Connection) -> None:
            ids = [(folder_id,) for folder_id in folder_ids]
            if _get_meta(connection, COMPARED) is not None:
                connection.executemany(f"{_TOUCH} folder_id = ?", ids)
            connection.executemany("DELETE FROM file WHERE folder_id = ?", ids)
            connection.executemany("DELETE FROM folder WHERE id = ?", ids)
            connection.execute("DELETE FROM meta WHERE key = 'totals'")
            _mark_change(connection)

        if folder_ids:
            self.write(change)


def join(folder: bytes, name: bytes) -> str:
    """A path relative to the store, decoded as the rest of the program has it."""
    return os.fsdecode(folder + b"/" + name if folder else name)


def _get_meta(connection: sqlite3.Connection, key: str) -> Any:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else json.loads(row[0])


def _mark_change(connection: sqlite3.Connection) -> None:
    # Not a count, which a private copy and the file would have in common although they differ.
    _set_meta(connection, CHANGE, os.urandom(8).hex())


def _sum(value: Any) -> str:
    """A checksum, to detect flipped bytes in a value that no scan would correct."""
    return xxhash.xxh3_64_hexdigest(json.dumps(value, sort_keys=True).encode())


def _touch(
    connection: sqlite3.Connection, folders: Sequence[Folder], put: Sequence[File], drop: Sequence[tuple[int, bytes]]
) -> None:
    """Records the contents whose rows are about to change."""
    places = [*drop, *(row[:2] for row in put)]
    connection.executemany(f"{_TOUCH} folder_id = ? AND name = ?", places)
    found = ((row.content,) for row in put if row.content is not None)
    connection.executemany("INSERT OR IGNORE INTO touched VALUES (?)", found)
    # All files of a folder whose class changes.
    moved = ((row.folder_id, row.folder_id, row.class_title) for row in folders)
    connection.executemany(
        f"{_TOUCH} folder_id = ? AND EXISTS (SELECT 1 FROM folder WHERE id = ? AND class IS NOT ?)",  # noqa: S608
        moved,
    )


def _set_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))
