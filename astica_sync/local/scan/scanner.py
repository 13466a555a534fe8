"""Looks at every file of the store and brings the index up to date; reads only what is new or may have changed.

What could not be seen is said so, and stays in the index: from there nothing may be called absent (promise 3).
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass

from astica_sync.clock import Clock
from astica_sync.core.model import Unreadable
from astica_sync.errors import StoreChanged
from astica_sync.local.db.index import File, Folder, Index
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.identity import check_root
from astica_sync.local.layout import STATE_DIR, Layout
from astica_sync.local.scan.directory_diff import DirectoryDiff, above_of, class_title_of, diff_directory, find_tops
from astica_sync.local.scan.directory_digest import DirectoryListing, directory_stamp, list_directory, list_names
from astica_sync.local.scan.file_hash import FileHash, HashOutcome
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.scan.parallel.hash_pool import HashPool, PendingHashes
from astica_sync.local.scan.parallel.prefetch import Prefetcher
from astica_sync.local.scan.racy import RacyCutoff
from astica_sync.sqlite import Damaged

# What a killed first scan has to read again at most: so many rows, or what took so many seconds.
_BATCH_ROWS = 20_000
_BATCH_SECONDS = 2.0
# Files per task of a reading thread, so that handing over costs little beside reading small files.
_BATCH_FILES = 64
# So many of these tasks keep a reader busy while rows are written.
_TASKS_AHEAD = 100
_LISTINGS = 3
# An index of so many bytes knows about 50,000 files.
_BESIDE_FROM = 8_000_000
_MOST_NAMED = 20_000
_NO_FOLDER = Folder(0, b"", None, False)

_NESTED = "a store inside this store, which is skipped: move that folder out, or list it in .astica-ignore"
_REMOUNTED = (
    "files are missing since a disk was mounted or unmounted here: mount it as before,"
    " or delete .astica-sync/index.db to say that they are gone"
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one look at the store found; the samples and problems themselves are in the index.

    ``files`` were looked at, ``hashed`` of them read. ``classes`` are all class folders (NFC). ``changing`` files and
    folders changed during the scan. ``started_at`` is in seconds since the epoch. ``ignore_changed``: the ignore file
    differs from that of the scan before; ``ignore_digest`` names its rules. ``fresh`` are the content hashes that stand
    where they did not before, ``lost`` those that stand no more where they did; None when they are too many to name, or
    gone with their folder.
    """

    files: int
    hashed: int
    unknown: Unreadable
    classes: frozenset[str]
    changing: int
    started_at: float
    ignore_changed: bool
    ignore_digest: str
    fresh: frozenset[str] | None = None
    lost: frozenset[str] | None = None


def scan_store(
    layout: Layout,
    index: Index,
    *,
    clock: Clock,
    fs: FileSystem | None = None,
    threads: int = 2,
    forced: bool = False,
    below: Collection[str] | None = None,
    patient: bool = False,
    progress: Callable[[int, int], None] = lambda _files, _hashed: None,
) -> Scan:
    """Compares the store with the index and reads what differs; ``forced`` reads everything.

    ``below`` looks into these folders alone (relative to the store, with all that lies in them) and says nothing of
    the others. One that an earlier scan does not know is looked for from the nearest known folder above it.

    ``patient`` lets the grain of the file system's clock pass before it reads what was changed just now, so that no
    scan has to read it again.

    ``progress`` is told now and then how many files were looked at and read. In a store that is not the one that was
    made (``check_root``) everything is unknown. ``threads`` read files beside this one, which reads them itself when
    there are none, in an order that only the store decides. Interrupting a scan loses at most the last rows.

    Raises:
        StoreError: the ignore file cannot be read or understood.
        DatabaseError: the index cannot even be read; a damaged one is begun anew instead.
    """
    ignore = Ignore.load(layout.root)
    try:
        return _Walk(layout, index, clock, fs or FileSystem(), ignore, forced, below, patient, progress).run(threads)
    except Damaged:
        index.replace_damaged()
    return _Walk(layout, index, clock, fs or FileSystem(), ignore, forced, below, patient, progress).run(threads)


class _Walk:
    """The state of one scan."""

    def __init__(
        self,
        layout: Layout,
        index: Index,
        clock: Clock,
        fs: FileSystem,
        ignore: Ignore,
        forced: bool,
        below: Collection[str] | None,
        patient: bool,
        progress: Callable[[int, int], None],
    ) -> None:
        self.layout, self.index, self.clock, self.fs = layout, index, clock, fs
        self.ignore, self.forced, self.below = ignore, forced, below
        self.progress = progress
        self.moment = RacyCutoff(layout, self.fs, clock, patient)
        self.everything = False
        self.unknown: set[str] = set()
        self.classes: set[str] = set()
        # Seals stand for what the index says under these rules alone.
        self.seed = int(ignore.digest, 16)
        self.beside: Prefetcher | None = None
        self.files = self.hashed = self.changing = 0
        self.fresh: set[str] = set()
        self.lost: set[str] = set()
        self.nameless = False
        self.tops: set[bytes] = set()
        self.flushed_at = clock.ticks()
        self.folders: dict[bytes, Folder] = {}
        self.visited: set[bytes] = set()
        # Folders of which nothing is forgotten, and those that changed their file system.
        self.held: set[bytes] = set()
        self.remounted: set[bytes] = set()
        self.new_folders: list[Folder] = []
        self.put: list[File] = []
        self.drop: list[tuple[int, bytes]] = []

    def run(self, threads: int) -> Scan:
        started_at = self.clock.now()
        self._check_root()
        with self.index.scanning(), HashPool(self.fs, threads) as self.readers, self._company(threads) as self.beside:
            self.folders = self.index.folders()
            self.next_id = self.first_id = 1 + max((folder.folder_id for folder in self.folders.values()), default=0)
            self.tasks: deque[tuple[Folder, list[str], set[str], int, PendingHashes]] = deque()
            self.most_tasks = max(1, _TASKS_AHEAD * threads)
            try:
                self._walk()
                while self.tasks:
                    self._take_results()
            finally:
                self.readers.close()
                self._flush()
                self.index.put_in_order()
            self._check_root()
            self._settle_folders()
            before = self.index.get_meta("ignore_digest")
            if before != self.ignore.digest and self.below is None:
                self.index.set_meta("ignore_digest", self.ignore.digest)
        return Scan(
            files=self.files,
            hashed=self.hashed,
            unknown=Unreadable(self.everything, frozenset(self.unknown)),
            classes=frozenset(self.classes),
            changing=self.changing,
            started_at=started_at,
            ignore_changed=before not in (None, self.ignore.digest),
            ignore_digest=self.ignore.digest,
            fresh=frozenset(self.fresh) if len(self.fresh) <= _MOST_NAMED else None,
            lost=None if self.nameless or len(self.lost) > _MOST_NAMED else frozenset(self.lost),
        )

    def _company(self, threads: int) -> AbstractContextManager[Prefetcher | None]:
        """A process that lists beside this one, where it is worth its start."""
        if threads and self.below is None and (os.cpu_count() or 1) > 1:
            with contextlib.suppress(OSError):
                if self.layout.index_db.stat().st_size >= _BESIDE_FROM:
                    return Prefetcher()
        return contextlib.nullcontext()

    def _check_root(self) -> None:
        try:
            check_root(self.layout, self.fs)
        except StoreChanged:
            self.everything = True

    def _walk(self) -> None:
        try:
            device = self.fs.lstat(self.layout.root).st_dev
        except OSError:
            self.everything = True
            return
        waiting: list[tuple[bytes, str | None, bool]] = [(b"", None, False)]
        if self.below is not None:
            self.tops = find_tops(self.fs, self.layout.root, self.folders, self.below)
            waiting = [(path, *self.folders.get(path, _NO_FOLDER)[2:4]) for path in sorted(self.tops)]
        while waiting:
            path, title, mounted = waiting.pop()
            folder = self._enter(path, title, mounted)
            seen = self._look_safely(folder)
            if seen is None:
                continue
            for name, child_device in seen.folders:
                child = path + b"/" + os.fsencode(name) if path else os.fsencode(name)
                child_title = title if path else class_title_of(name)
                waiting.append((child, child_title, child_device != device))
                if self.beside and child in self.folders:
                    known = self.folders[child]
                    self.beside.ahead.append((self._path_of(known), self._seals_of(known), self.seed))
            self._record(folder, seen)
            self.progress(self.files, self.hashed)

    def _enter(self, path: bytes, title: str | None, mounted: bool) -> Folder:
        self.visited.add(path)
        if title is not None:
            self.classes.add(title)
        folder = self.folders.get(path)
        if folder is None:
            folder = self.folders[path] = Folder(self.next_id, path, title, mounted)
            self.next_id += 1
            self.new_folders.append(folder)
            return folder
        if folder.class_title != title:
            # The path decides, not what a flipped byte has made of it in the index.
            folder = self.folders[path] = folder._replace(class_title=title, seal=None)
            self.new_folders.append(folder)
        if folder.mounted != mounted:
            self.remounted.add(path)
        return folder

    def _look_safely(self, folder: Folder) -> DirectoryDiff | None:
        """What the folder shows; None where it may not be looked into."""
        path = self._path_of(folder)
        try:
            found = (self.beside.take(path) if self.beside else None) or self._list(path, folder)
        except FileNotFoundError:
            self.changing += 1
            self._hold(folder)
            return None
        except OSError as error:
            self._hold(folder)
            self._report(folder, f"cannot be read: {error.strerror}; mend its rights or its disk")
            return None
        seen = diff_directory(found, folder, self.index.known, self.ignore, forced=self.forced)
        if seen.nested and folder.path:
            self._hold(folder)
            self._put_problem(folder, STATE_DIR.encode(), _NESTED)
            return None
        return seen

    def _list(self, path: str, folder: Folder) -> DirectoryListing:
        """Lists the folder until it stays the same meanwhile, since a listing may miss a file that is renamed during
        it. Where it never does, nothing in it may be called absent."""
        for _ in range(_LISTINGS):
            before = directory_stamp(self.fs, path)
            if folder.folder_id >= self.first_id and not self.moment.patient:
                found = list_names(self.fs, path, odd=not folder.path)
            else:
                found = list_directory(self.fs, path, self._seals_of(folder), self.seed, odd=not folder.path)
            if directory_stamp(self.fs, path) == before:
                return found
        self.changing += 1
        self._hold(folder)
        return found

    def _seals_of(self, folder: Folder) -> bytes | None:
        return None if self.forced else folder.seal

    def _record(self, folder: Folder, seen: DirectoryDiff) -> None:
        self.files += seen.files
        self.unknown |= seen.hidden_classes
        if seen.hides and folder.class_title is not None:
            self.unknown.add(folder.class_title)
        if seen.seal != folder.seal:
            folder = self.folders[folder.path] = folder._replace(seal=seen.seal)
            self.new_folders.append(folder)
        if folder.path in self.remounted and seen.missing:
            self._hold(folder)
            self._report(folder, _REMOUNTED)
        elif folder.path not in self.held and not self.everything:
            self.drop.extend((folder.folder_id, name) for name in seen.missing)
            for name in seen.missing:
                self._lose(self.index.content_at(folder.folder_id, name))
        for name, reason in seen.odd.items():
            self._put_problem(folder, name, reason)
        if seen.unread:
            self.moment.choose(seen.newest)
        for start in range(0, len(seen.unread), _BATCH_FILES):
            self._read(folder, seen.unread[start : start + _BATCH_FILES], seen.new)
        self._flush(_BATCH_ROWS)

    def _read(self, folder: Folder, names: list[str], new: set[str]) -> None:
        if len(self.tasks) >= self.most_tasks:
            self._take_results()
        above = self._path_of(folder)
        reading = self.readers.read([f"{above}/{name}" for name in names])
        self.tasks.append((folder, names, new, self.moment.ns, reading))

    def _take_results(self) -> None:
        folder, names, new, checked_ns, future = self.tasks.popleft()
        for name, reading in zip(names, future.result(), strict=True):
            self._take(folder, os.fsencode(name), reading, checked_ns, name in new)
        self.progress(self.files, self.hashed)
        self._flush(_BATCH_ROWS)

    def _take(self, folder: Folder, name: bytes, reading: FileHash, checked_ns: int, new: bool) -> None:
        self.hashed += 1
        if reading.signature is not None:
            row = (*reading.signature, checked_ns, reading.content, reading.reason)
            self.put.append(File(folder.folder_id, name, *row))
            before = [] if new else self.index.content_at(folder.folder_id, name)
            if before != [reading.content]:
                self._lose(before)
                if reading.content is not None and len(self.fresh) <= _MOST_NAMED:
                    self.fresh.add(reading.content)
            return
        if folder.class_title is not None:
            self.unknown.add(folder.class_title)
        if reading.ending is not HashOutcome.UNREADABLE:
            self.changing += 1
        if reading.reason is None:
            self.drop.append((folder.folder_id, name))
        else:
            self._put_problem(folder, name, reading.reason)

    def _lose(self, contents: list[str]) -> None:
        if contents and len(self.lost) <= _MOST_NAMED:
            self.lost.update(contents)

    def _hold(self, folder: Folder) -> None:
        """What is known of this folder and below it stays, and nothing of it may be called absent."""
        self.held.add(folder.path)
        if folder.class_title is None:
            self.everything = True
        else:
            self.unknown.add(folder.class_title)

    def _report(self, folder: Folder, reason: str) -> None:
        above, _, name = folder.path.rpartition(b"/")
        self._put_problem(self.folders[above], name or b".", reason)

    def _put_problem(self, folder: Folder, name: bytes, reason: str) -> None:
        self.put.append(File(folder.folder_id, name, 0, 0, 0, 0, 0, None, reason))

    def _settle_folders(self) -> None:
        """Forgets the folders that are gone, unless something above them could not be seen."""
        gone: list[Folder] = []
        for path, folder in self.folders.items():
            if path in self.visited or self.everything:
                continue
            above = set(above_of(path))
            if self.below is not None and not self.tops.intersection(above):
                continue
            if remounted := above & (self.remounted - self.held):
                top = self.folders[min(remounted)]
                self._hold(top)
                self._report(top, _REMOUNTED)
            elif above & self.held:
                self._hold(folder)
            else:
                gone.append(folder)
        self.nameless = bool(gone)
        self.index.drop_folders([folder.folder_id for folder in gone])
        for path in self.remounted - self.held:
            folder = self.folders[path]
            self.new_folders.append(folder._replace(mounted=not folder.mounted, seal=None))
        self._flush()

    def _flush(self, least: int = 1) -> None:
        rows = len(self.put) + len(self.drop) + len(self.new_folders)
        late = rows > 0 and self.clock.ticks() >= self.flushed_at + _BATCH_SECONDS
        if rows >= least or late:
            self.index.change(self.new_folders, self.put, self.drop)
            self.new_folders, self.put, self.drop = [], [], []
            self.flushed_at = self.clock.ticks()

    def _path_of(self, folder: Folder) -> str:
        return f"{self.layout.root}/{os.fsdecode(folder.path)}" if folder.path else str(self.layout.root)
