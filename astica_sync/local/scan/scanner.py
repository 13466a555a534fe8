"""Scans the store: compares every file with the index, and reads what is new or may have changed.

What could not be seen is reported, and stays in the index: nothing may be called absent there (promise 3).
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from astica_sync.clock import Clock
from astica_sync.core.model import Unreadable
from astica_sync.core.recipe import TAKEN_AS_THEY_ARE, Recipe
from astica_sync.errors import StoreChanged, StoreMoved
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.db.index import File, Folder, Index, join
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.prepare.usable_formats import (
    png_or_jpeg_beside,
    usable_recipe,
    why_converted_already,
    why_not_converted,
)
from astica_sync.local.layout import STATE_DIR, Layout
from astica_sync.local.scan.changed_files import DirectoryDiff, above_of, diff_directory, find_tops
from astica_sync.local.scan.directory_digest import DirectoryListing, directory_stamp, list_directory, list_names
from astica_sync.local.scan.file_hash import FileHash, HashOutcome, unreadable_reason
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.scan.mounts import MountRecord, Mounts
from astica_sync.local.scan.parallel.parallel_scan_workers import ParallelWorkers
from astica_sync.local.scan.racy_cutoff import RacyCutoff
from astica_sync.local.scan.scan_workers import PendingHashes, SerialWorkers, Workers
from astica_sync.local.store_sentinel import check_root
from astica_sync.sqlite import Damaged

# What a killed first scan has to read again at most: so many rows, or the work of so many seconds.
_BATCH_ROWS = 20_000
_BATCH_SECONDS = 2.0
# Files per hashing task, so that its overhead is small compared with reading small files.
_BATCH_FILES = 64
# So many tasks per thread keep it busy while rows are written.
_TASKS_AHEAD = 100
_LISTINGS = 3
# An index of so many bytes has about 50,000 files.
_PREFETCH_FROM = 8_000_000
_MAX_NAMED = 20_000
HARD_LINKS = "hard_links"
"""Whether files of the store may have a second name, "0" or "1"."""

_NO_FOLDER = Folder(0, b"", None, False)

_NESTED = "contains another store, which is skipped; move that folder out, or list it in .astica-ignore"
_REMOUNTED = (
    "files are missing since a disk was mounted or unmounted here; mount it as before,"
    " or delete .astica-sync/mounts.json and .astica-sync/index.db to confirm that they are gone"
)


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How a scan is done.

    ``threads`` hash files in parallel; with 0 everything is done by the calling thread, in an order that only the
    store decides. ``forced`` reads every file. ``below`` scans only these folders (relative to the store, with
    everything in them); one that is not in the index is replaced by the nearest folder above it that is. ``patient``
    waits out the resolution of the file system's clock before it reads what was changed just now, so that no later
    scan has to read it again. ``digests`` compares folders by their digests first. ``recipe`` says which formats are
    converted; None goes by that of the scan before. Where it is another one than that, the files ``failed`` are read
    again: an earlier version of the program may have read them, which converted fewer formats.
    """

    threads: int = 2
    forced: bool = False
    below: Collection[str] | None = None
    patient: bool = False
    digests: bool = True
    recipe: Recipe | None = None
    failed: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of one scan; the samples and problems themselves are in the index.

    ``files`` were compared, ``hashed`` of them read. ``classes`` are all class folders (NFC). ``changing`` files and
    folders changed during the scan. ``started_at`` is in seconds since the epoch. ``ignore_changed``: the ignore file
    differs from that of the scan before; ``ignore_digest`` identifies its rules. ``fresh`` are the content hashes that
    appeared in a place where they were not before, ``lost`` those that disappeared from one; None when they are too
    many to name, or disappeared with their folder. ``hiding`` are the paths of the problems behind which files may be
    that were not seen, as links and what cannot be read. ``moved``: the store was moved, copied or made elsewhere
    (``StoreMoved``), so that what is gone from it proves nothing. ``mark_before`` and ``mark`` are the index's
    ``change_mark`` before and after.
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
    hiding: frozenset[str] = frozenset()
    moved: bool = False
    mark_before: str = ""
    mark: str = ""


def scan_store(
    layout: Layout,
    index: Index,
    *,
    clock: Clock,
    files: FileSystem | None = None,
    options: ScanOptions | None = None,
    progress: Callable[[int, int], None] = lambda _files, _hashed: None,
) -> Scan:
    """Compares the store with the index and reads what differs.

    ``progress`` is called now and then with the number of files compared and read. In a folder that is not the one the
    store was made in (``check_root``) everything is unknown; the index of a moved or copied one has what is there. An
    interrupted scan loses at most the last rows.

    Raises:
        StoreError: the ignore file cannot be read or is invalid.
        DatabaseError: the index cannot even be read; a damaged one is replaced and filled from scratch instead.
    """
    ignore = Ignore.load(layout.root)
    options = options or ScanOptions()
    recipe = options.recipe or usable_recipe(index.recipe())
    target = _Target(layout, files or FileSystem(layout.root), ignore, options, recipe)
    try:
        return Scanner(target, index, clock, progress).run()
    except Damaged:
        index.replace_damaged()
    return Scanner(target, index, clock, progress).run()


@dataclass(frozen=True, slots=True)
class _Target:
    """What is scanned, and how."""

    layout: Layout
    files: FileSystem
    ignore: Ignore
    options: ScanOptions
    recipe: Recipe

    @property
    def seed(self) -> int:
        """Digests stand for what the index has under these rules only."""
        return int(self.ignore.digest, 16)

    def path_of(self, folder: Folder) -> str:
        root = self.layout.root
        return f"{root}/{os.fsdecode(folder.path)}" if folder.path else str(root)


class _IndexWriter:
    """Collects rows for the index and writes them in batches."""

    def __init__(self, index: Index, clock: Clock) -> None:
        self._index, self._clock = index, clock
        self.folders: list[Folder] = []
        self.put: list[File] = []
        self.drop: list[tuple[int, bytes]] = []
        self.prepared: list[tuple[str, str]] = []
        self.moves = False
        """Whether with these rows an image comes to a place or leaves one."""
        self._flushed_at = clock.ticks()

    def flush(self, least: int = 1) -> None:
        """Writes what was collected if it is so many rows, or if the last write was some time ago."""
        rows = len(self.put) + len(self.drop) + len(self.folders)
        late = rows > 0 and self._clock.ticks() >= self._flushed_at + _BATCH_SECONDS
        if rows >= least or late:
            self._index.change(self.folders, self.put, self.drop, self.prepared, moves=self.moves)
            self.folders, self.put, self.drop, self.prepared = [], [], [], []
            self.moves = False
            self._flushed_at = self._clock.ticks()


@dataclass(slots=True)
class _HashTask:
    """Files of one folder that are being hashed. ``new`` are the names that are not in the index; ``checked_ns`` is
    the cut-off before they were read."""

    folder: Folder
    names: list[str]
    new: set[str]
    checked_ns: int
    pending: PendingHashes


class Scanner:
    """The state of one scan."""

    def __init__(self, target: _Target, index: Index, clock: Clock, progress: Callable[[int, int], None]) -> None:
        self._target, self._index, self._clock, self._progress = target, index, clock, progress
        self._files, self._options = target.files, target.options
        self._cutoff = RacyCutoff(target.layout, target.files, clock, patient=target.options.patient)
        self._rows = _IndexWriter(index, clock)
        self._workers: Workers = SerialWorkers(target.files)
        self._tasks: deque[_HashTask] = deque()
        # The result.
        self._everything_unknown = self._moved = False
        self._unknown: set[str] = set()
        self._hiding: set[str] = set()
        self._classes: set[str] = set()
        self._compared = self._hashed = self._changing = 0
        self._fresh: set[str] = set()
        self._lost: set[str] = set()
        self._lost_folders = False
        self._linked = False
        # The folders of the index; which of them were visited, of which nothing may be forgotten ("held"), and which
        # are on another file system than before.
        self._folders: dict[bytes, Folder] = {}
        self._tops: set[bytes] = set()
        self._visited: set[bytes] = set()
        self._held: set[bytes] = set()
        self._remounted: set[bytes] = set()
        self._mounts: Mounts | None = None
        self._mount_record = MountRecord(self._files, target.layout.mounts_file, index)

    def run(self) -> Scan:
        started_at = self._clock.now()
        self._moved = self._is_moved()
        ignore = self._target.ignore
        with self._index.scanning(), contextlib.closing(self._start_workers()) as self._workers:
            mark_before = self._index.change_mark
            if self._index.note_recipe(self._target.recipe):
                self._index.forget(self._options.failed)
            self._folders = self._index.folders()
            self._next_id = self._first_id = 1 + max((each.folder_id for each in self._folders.values()), default=0)
            try:
                self._walk()
                while self._tasks:
                    self._finish_task()
            finally:
                self._workers.close()
                self._rows.flush()
                self._index.ensure_content_index()
            # Another folder may have taken its place during the scan.
            if self._is_moved() != self._moved:
                self._everything_unknown = True
            self._hold_changed_mounts()
            lost = self._hold_lost_mounts()
            self._forget_folders()
            if not (self._everything_unknown or self._moved):
                self._record_mounts(lost)
            before = self._index.get_meta("ignore_digest")
            if before != ignore.digest and self._options.below is None:
                self._index.set_meta("ignore_digest", ignore.digest)
            complete = self._options.below is None and not (self._everything_unknown or self._moved or self._held)
            linked = str(int(self._linked))
            if (self._linked or complete) and self._index.get_meta(HARD_LINKS) != linked:
                self._index.set_meta(HARD_LINKS, linked)
            mark = self._index.change_mark
        return Scan(
            files=self._compared,
            hashed=self._hashed,
            unknown=Unreadable(self._everything_unknown or self._moved, frozenset(self._unknown)),
            classes=frozenset(self._classes),
            changing=self._changing,
            started_at=started_at,
            ignore_changed=before not in (None, ignore.digest),
            ignore_digest=ignore.digest,
            fresh=frozenset(self._fresh) if len(self._fresh) <= _MAX_NAMED else None,
            lost=None if self._lost_folders or len(self._lost) > _MAX_NAMED else frozenset(self._lost),
            hiding=frozenset(self._hiding),
            moved=self._moved,
            mark_before=mark_before,
            mark=mark,
        )

    def _start_workers(self) -> Workers:
        threads = self._options.threads
        if not threads:
            return SerialWorkers(self._files)
        prefetch = False
        if self._options.below is None:
            with contextlib.suppress(OSError):
                prefetch = self._target.layout.index_db.stat().st_size >= _PREFETCH_FROM
        return ParallelWorkers(self._files, threads, prefetch=prefetch)

    def _is_moved(self) -> bool:
        """Whether the store was moved or copied here: its files are seen, and nothing is concluded from what is gone.
        In a folder that is no store any more, nothing is."""
        try:
            check_root(self._target.layout, self._files)
        except StoreMoved:
            return True
        except StoreChanged:
            self._everything_unknown = True
        return False

    def _walk(self) -> None:
        root = self._target.layout.root
        try:
            mounts = self._mounts = Mounts(self._files, root)
        except OSError:
            self._everything_unknown = True
            return
        self._mount_record.compare(mounts)
        waiting: list[tuple[bytes, str | None, bool]] = [(b"", None, False)]
        if self._options.below is not None:
            self._tops = find_tops(self._files, root, self._folders, self._options.below)
            waiting = [
                (path, self._folders.get(path, _NO_FOLDER).class_title, self._is_mounted(mounts, path))
                for path in sorted(self._tops)
            ]
        while waiting:
            path, title, mounted = waiting.pop()
            folder = self._enter(path, title, mounted)
            diff = self._diff(folder)
            if diff is None:
                continue
            for name, child_device in diff.subfolders:
                child = path + b"/" + os.fsencode(name) if path else os.fsencode(name)
                child_title = title if path else class_title_of(name)
                waiting.append((child, child_title, mounts.contain(os.fsdecode(child), child_device)))
                if self._workers.prefetches and child in self._folders:
                    known = self._folders[child]
                    self._workers.prefetch(self._target.path_of(known), self._digests_of(known), self._target.seed)
            self._record(folder, diff)
            self._progress(self._compared, self._hashed)

    def _is_mounted(self, mounts: Mounts, path: bytes) -> bool:
        try:
            return mounts.contain_now(os.fsdecode(path))
        except OSError:
            return self._folders.get(path, _NO_FOLDER).mounted

    def _is_mount_place(self, folder: Folder) -> bool:
        """Whether something was mounted at this very folder, and not above it."""
        return folder.mounted and not self._folders.get(folder.path.rpartition(b"/")[0], _NO_FOLDER).mounted

    def _has_files(self, folder: Folder) -> bool:
        """Whether the index has files in the folder or below it."""
        return any(self._index.known(self._folders[path].folder_id) for path in self._below(folder.path))

    def _hold_changed_mounts(self) -> None:
        """What was mounted or unmounted during the scan is compared again by the next one."""
        for place in self._mounts.changed_places() if self._mounts else ():
            if folder := self._folders.get(os.fsencode(place)):
                self._changing += 1
                self._hold(folder)

    def _hold_lost_mounts(self) -> dict[str, str]:
        """Keeps what was on a mount that is not there now, or in whose place is another one, where the index was lost
        since and does not know it any more. Returns these places as they were recorded."""
        mounts = self._mounts
        lost = self._mount_record.find_lost(lambda path: mounts is not None and self._is_mounted(mounts, path))
        for place in lost:
            path = os.fsencode(place)
            self._hold(self._folders.get(path) or Folder(0, path, class_title_of(place.partition("/")[0]), False))
            above = next(each for each in above_of(path) if each in self._folders)
            name = path[len(above) :].lstrip(b"/").partition(b"/")[0]
            self._put_hiding(self._folders[above], name, _REMOUNTED)
        return lost

    def _record_mounts(self, lost: dict[str, str]) -> None:
        """Records the folders with files at which something is mounted, or was when it was last seen; also below
        another such folder, which is on another disk than the store with it and without it."""
        changed = self._remounted - self._held
        mounted = [each for path, each in self._folders.items() if each.mounted != (path in changed)]
        paths = {each.path for each in mounted}
        recorded = self._mount_record.recorded
        places = dict(lost) if self._options.below is None else recorded | lost
        for each in mounted:
            place, mounts = os.fsdecode(each.path), self._mounts
            is_below = each.path.rpartition(b"/")[0] in paths
            if is_below and place not in recorded and not (mounts and mounts.is_place(place)):
                continue
            if not self._has_files(each):
                continue
            kept = recorded.get(place) if self._held.intersection(self._below(each.path)) else None
            identity = mounts.identity(place) if mounts else ""
            if is_below and kept is None and not (mounts and mounts.is_place(place)):
                continue
            places[place] = places.get(place) or kept or identity
        self._mount_record.replace(places, lost)

    def _below(self, place: bytes) -> list[bytes]:
        """The folder and those in it that the index has."""
        return [path for path in self._folders if path == place or path.startswith(place + b"/")]

    def _enter(self, path: bytes, title: str | None, mounted: bool) -> Folder:
        self._visited.add(path)
        if title is not None:
            self._classes.add(title)
        folder = self._folders.get(path)
        if folder is None:
            folder = self._folders[path] = Folder(self._next_id, path, title, mounted)
            self._next_id += 1
            self._rows.folders.append(folder)
            return folder
        if folder.class_title != title:
            # The path determines the class, not what a flipped byte has made of it in the index.
            folder = self._folders[path] = folder._replace(class_title=title, digests=None)
            self._rows.folders.append(folder)
        if folder.mounted != mounted:
            self._remounted.add(path)
        return folder

    def _diff(self, folder: Folder) -> DirectoryDiff | None:
        """How the folder differs from the index; None where it cannot or must not be scanned."""
        path = self._target.path_of(folder)
        try:
            listing = self._workers.take_listing(path) or self._list(path, folder)
            if any(kind is None for _, kind, _ in listing.others):
                # A folder that may be listed and not entered is the cause itself, and not each entry.
                self._files.lstat(f"{path}/.")
        except FileNotFoundError:
            self._changing += 1
            self._hold(folder)
            return None
        except OSError as error:
            self._hold(folder)
            self._report(folder, unreadable_reason(error))
            return None
        self._linked |= listing.linked
        diff = diff_directory(listing, folder, self._index.known, self._target.ignore, forced=self._options.forced)
        if diff.has_store and folder.path:
            self._hold(folder)
            self._put_hiding(folder, STATE_DIR.encode(), _NESTED)
            return None
        return diff

    def _list(self, path: str, folder: Folder) -> DirectoryListing:
        """Lists the folder until it does not change meanwhile, since a listing may miss a file that is renamed during
        it. Where it always changes, nothing in it may be called absent."""
        for _ in range(_LISTINGS):
            before = directory_stamp(self._files, path)
            if folder.folder_id >= self._first_id and not self._options.patient:
                listing = list_names(self._files, path, is_root=not folder.path)
            else:
                digests = self._digests_of(folder)
                listing = list_directory(self._files, path, digests, self._target.seed, is_root=not folder.path)
            if directory_stamp(self._files, path) == before:
                return listing
        self._changing += 1
        self._hold(folder)
        return listing

    def _digests_of(self, folder: Folder) -> bytes | None:
        return None if self._options.forced or not self._options.digests else folder.digests

    def _record(self, folder: Folder, diff: DirectoryDiff) -> None:
        self._compared += diff.files
        self._unknown |= diff.hidden_classes
        self._hiding.update(join(folder.path, os.fsencode(name)) for name in diff.hiding)
        if diff.hiding and folder.class_title is not None:
            self._unknown.add(folder.class_title)
        if diff.digests != folder.digests:
            folder = self._folders[folder.path] = folder._replace(digests=diff.digests)
            self._rows.folders.append(folder)
        if diff.missing and (folder.path in self._remounted or self._mount_record.exchanged_above(folder.path)):
            self._hold(folder)
            self._report(folder, _REMOUNTED)
        elif diff.missing and self._mounts and self._mounts.changed_places():
            self._changing += 1
            self._hold(folder)
        elif folder.path not in self._held and not self._everything_unknown:
            self._rows.drop.extend((folder.folder_id, name) for name in diff.missing)
            for name in diff.missing:
                self._note_lost(self._index.content_at(folder.folder_id, name))
        for name, reason in diff.problems.items():
            self._put_problem(folder, name, reason)
        if diff.to_read:
            self._cutoff.update(diff.newest)
        for start in range(0, len(diff.to_read), _BATCH_FILES):
            self._start_task(folder, diff.to_read[start : start + _BATCH_FILES], diff.new)
        self._rows.flush(_BATCH_ROWS)

    def _start_task(self, folder: Folder, names: list[str], new: set[str]) -> None:
        if len(self._tasks) >= max(1, _TASKS_AHEAD * self._options.threads):
            self._finish_task()
        above = self._target.path_of(folder)
        pending = self._workers.hash([f"{above}/{name}" for name in names])
        self._tasks.append(_HashTask(folder, names, new, self._cutoff.ns, pending))

    def _finish_task(self) -> None:
        task = self._tasks.popleft()
        for name, file_hash in zip(task.names, task.pending.result(), strict=True):
            self._record_hash(task, name, file_hash)
        self._progress(self._compared, self._hashed)
        self._rows.flush(_BATCH_ROWS)

    def _record_hash(self, task: _HashTask, name: str, file_hash: FileHash) -> None:
        self._hashed += 1
        self._linked |= file_hash.linked
        folder, raw = task.folder, os.fsencode(name)
        signature = file_hash.signature
        if signature is not None:
            file_hash, stands_back = self._apply_recipe(file_hash, folder, name)
            # What stands back for another file is looked at by each scan: that one may be gone.
            row = (*signature, 0 if stands_back else task.checked_ns, file_hash.content, file_hash.reason)
            self._rows.put.append(File(folder.folder_id, raw, *row))
            before = [] if name in task.new else self._index.content_at(folder.folder_id, raw)
            if before != [file_hash.content]:
                self._note_lost(before)
                if file_hash.content is not None:
                    self._rows.moves = True
                    if len(self._fresh) <= _MAX_NAMED:
                        self._fresh.add(file_hash.content)
            return
        if folder.class_title is not None:
            self._unknown.add(folder.class_title)
        if file_hash.outcome is not HashOutcome.UNREADABLE:
            self._changing += 1
        if file_hash.reason is None:
            self._rows.drop.append((folder.folder_id, raw))
            # The next scan does not find it in the index any more.
            self._note_lost(self._index.content_at(folder.folder_id, raw))
        else:
            self._put_hiding(folder, raw, file_hash.reason)

    def _apply_recipe(self, file_hash: FileHash, folder: Folder, name: str) -> tuple[FileHash, bool]:
        """An image whose format is not converted here is sent as it is, or a problem where the service refuses it. One
        that the user has converted already is a problem as well: it stands back, which is the second value."""
        image_format = file_hash.format
        if not image_format or file_hash.content is None:
            return file_hash, False
        is_taken = image_format in TAKEN_AS_THEY_ARE
        if image_format in self._target.recipe.formats and (is_taken or not self._is_converted(folder, name)):
            self._rows.prepared.append((file_hash.content, image_format))
            return file_hash, False
        if is_taken:
            return file_hash._replace(format=""), False
        stands_back = image_format in self._target.recipe.formats
        reason = why_converted_already(image_format) if stands_back else why_not_converted(image_format)
        return file_hash._replace(content=None, format="", reason=reason), stands_back

    def _is_converted(self, folder: Folder, name: str) -> bool:
        """Whether a PNG or JPEG of the same name is beside a file."""
        return bool(png_or_jpeg_beside(self._files, f"{self._target.path_of(folder)}/{name}"))

    def _note_lost(self, contents: list[str]) -> None:
        self._rows.moves |= bool(contents)
        if contents and len(self._lost) <= _MAX_NAMED:
            self._lost.update(contents)

    def _hold(self, folder: Folder) -> None:
        """Keeps what the index has of this folder and below it: nothing of it may be called absent."""
        self._held.add(folder.path)
        if folder.class_title is None:
            self._everything_unknown = True
        else:
            self._unknown.add(folder.class_title)

    def _report(self, folder: Folder, reason: str) -> None:
        above, _, name = folder.path.rpartition(b"/")
        self._put_hiding(self._folders[above], name or b".", reason)

    def _put_hiding(self, folder: Folder, name: bytes, reason: str) -> None:
        self._hiding.add(join(folder.path, name))
        self._put_problem(folder, name, reason)

    def _put_problem(self, folder: Folder, name: bytes, reason: str) -> None:
        self._rows.put.append(File(folder.folder_id, name, 0, 0, 0, 0, 0, None, reason))

    def _forget_folders(self) -> None:
        """Removes folders that do not exist any more from the index, unless a folder above them could not be seen."""
        gone: list[Folder] = []
        # A folder comes before those in it.
        for path, folder in sorted(self._folders.items()):
            if path in self._visited or self._everything_unknown:
                continue
            above = set(above_of(path))
            if self._options.below is not None and not self._tops.intersection(above):
                continue
            remounted = above & ((self._remounted | self._mount_record.exchanged) - self._held)
            if self._is_mount_place(folder) and self._has_files(folder):
                # A mount point cannot be deleted: it was unmounted first, and its folder removed afterwards.
                self._hold(folder)
                self._report(folder, _REMOUNTED)
            elif remounted:
                top = self._folders[min(remounted)]
                self._hold(top)
                self._report(top, _REMOUNTED)
            elif above & self._held:
                self._hold(folder)
            else:
                gone.append(folder)
        self._lost_folders = bool(gone)
        self._index.drop_folders([folder.folder_id for folder in gone])
        for path in self._remounted - self._held:
            folder = self._folders[path]
            self._rows.folders.append(folder._replace(mounted=not folder.mounted, digests=None))
        self._rows.flush()
