"""The objects of the backup: the exact bytes of every uploaded sample, each named by its content hash.

The service never returns an image, so a removal relies on these (promises 1 and 2). The format is described in
docs/backup-format.md; every image can be restored with ``cp``, without this program.
"""

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

import xxhash

from astica_sync.errors import (
    BackupDamaged,
    Collision,
    SourceChanged,
    StorageFull,
    StoreChanged,
    StoreError,
    Unworkable,
)
from astica_sync.local.backup.catalog import CONTENT
from astica_sync.local.filesystem import TEMP_PREFIX, FileSystem, Kind, free_space, kind_of, temp_name
from astica_sync.local.image.format import HEAD_BYTES, sniff
from astica_sync.system.error_advice import remedy

_EXTENSIONS = {"jpeg": "jpg", "png": "png", None: "bin"}

_VERIFY_HINT = "run astica-sync backup verify, which names the file and repairs what it can"


README = """\
This folder contains the exact bytes of every image that astica-sync has uploaded to the service. The service never
returns an image, so these are the only copies besides your own files.

objects/ab/abcdef....jpg   one image; its name is the XXH3-128 hash of its bytes (xxhsum -H2), its folder the first
                           two digits of the name
catalog.jsonl              one line of JSON per image: its class, its original path, and its name in this folder
prepared/, prepared.jsonl  what was sent in place of images that the service does not take, as HEIC; objects/ has the
                           originals

To restore images, copy them: cp objects/*/* FOLDER. The catalog records the original path of each image.
Objects are never changed. Files named .tmp-* are left over from interrupted runs and can be deleted.
"""


class Hasher(Protocol):
    """The methods of a hash that the backup uses; the digest has 32 hex digits."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """One object that is durable in the backup. ``is_new``: this call has written it. ``size`` is in bytes."""

    content: str
    path: Path
    size: int
    is_new: bool


class ObjectStore:
    """The objects in the folder ``objects`` of ``root``, or in ``folder`` instead, which the first ``put`` creates.

    Any thread and process may read; only the holder of the writer lock may ``put``, in any of its threads.
    """

    def __init__(
        self,
        root: Path,
        files: FileSystem,
        hasher: Callable[[], Hasher] = xxhash.xxh3_128,
        folder: str = "objects",
    ) -> None:
        self.root = root
        self._files = files
        self._hasher = hasher
        self._objects = root / folder
        self._place = f"{self._objects}/"
        # One lock per folder of objects: two threads never write the same object, and rarely wait for each other.
        self._locks: dict[str, threading.Lock] = {}
        self._open_lock = threading.Lock()
        self._open_folders: set[Path] = set()
        self._durable_folders: set[Path] = set()
        self._above = root.parent, root, self._objects

    def put(self, source: Path, content: str) -> Stored:
        """Makes sure that the bytes of ``source``, which hash to ``content``, are in the backup, durably.

        An existing object is read and compared; a damaged one is replaced, and so is one that is linked elsewhere. The
        object shares no inode with the source.

        Raises:
            SourceChanged: the file has other bytes now, or cannot be read; scan again.
            Collision: the backup has another file with this content hash.
            StorageFull: the disk is full.
            StoreError: the backup cannot be written for another reason.
        """
        with self._locks.setdefault(content[:2], threading.Lock()):
            existing = self._locate(content)
            if existing is not None and self._confirm(existing[0], source, content):
                return Stored(content, *existing, is_new=False)
            try:
                target = self._write(source, content, existing and existing[0])
                size = self._files.lstat(target).st_size
            except OSError as error:
                self._blame(source, error)
            return Stored(content, target, size, is_new=True)

    def put_bytes(self, data: bytes) -> Stored:
        """Makes sure that these bytes are in the backup, durably; a damaged object of their hash is replaced.

        Raises:
            StorageFull: the disk is full.
            StoreError: the backup cannot be written for another reason.
        """
        hasher = self._hasher()
        hasher.update(data)
        content = hasher.hexdigest()
        with self._locks.setdefault(content[:2], threading.Lock()):
            existing = self._locate(content)
            if existing and not self.check(content) and not self.is_linked(content) and self.secure(content):
                return Stored(content, *existing, is_new=False)
            try:
                folder = self._folder(content)
                self._open(folder)
                target = existing[0] if existing else folder / f"{content}.{_EXTENSIONS[sniff(data)]}"
                self._files.write_synced(target, [data])
                if self._hash(target) != content:
                    raise OSError(errno.EIO, "it was not stored as it was written", str(target))
            except OSError as error:
                self.fail(error)
            return Stored(content, target, len(data), is_new=True)

    def read(self, content: str) -> bytes:
        """The whole object, verified by its hash.

        Raises:
            BackupDamaged: it is missing, unreadable or has other bytes.
            StoreChanged: as ``located``.
        """
        path = self.located(content)[0]
        try:
            with self._files.open_read(path) as file:
                data = b"".join(self._files.chunks(file))
        except OSError as error:
            raise BackupDamaged(f"{path} cannot be read: {error.strerror}", _VERIFY_HINT) from error
        hasher = self._hasher()
        hasher.update(data)
        if hasher.hexdigest() != content:
            raise BackupDamaged(f"{path} is damaged: its bytes do not match its name", _VERIFY_HINT)
        return data

    def check(self, content: str) -> str | None:
        """Hashes one object; None when its bytes match its name, else the reason."""
        path = self.find(content)
        if path is None:
            return "missing in the backup"
        try:
            same = self._hash(path) == content
        except OSError as error:
            return f"cannot be read in the backup: {error.strerror}; {remedy(error, path, writing=False)}"
        return None if same else "damaged in the backup: its bytes do not match its name"

    def is_linked(self, content: str) -> bool:
        """Whether the file of an object has a second name, by which another program may change it: one that looks for
        files with the same bytes makes such hard links."""
        path = self.find(content)
        with contextlib.suppress(OSError):
            return path is not None and self._files.lstat(path).st_nlink > 1
        return False

    def find(self, content: str) -> Path | None:
        """The file of an object, which may be damaged; None when there is none.

        Raises:
            ValueError: the text is not a content hash, so it must not become a path.
        """
        existing = self._locate(content)
        return None if existing is None else existing[0]

    def has(self, content: str) -> bool:
        """Whether there is an object of this name; only ``check`` and ``read`` verify its bytes."""
        return self.find(content) is not None

    def secure(self, content: str) -> bool:
        """As ``has``, and makes the name of an existing object durable.

        Raises:
            StorageFull, StoreError: the folder cannot be synced.
        """
        existing = self._locate(content)
        if existing is None:
            return False
        try:
            self._sync_names(existing[0].parent)
        except OSError as error:
            self.fail(error)
        return True

    def size_of(self, content: str) -> int:
        """The size of an object in bytes.

        Raises:
            BackupDamaged: there is none.
        """
        return self.located(content)[1]

    def located(self, content: str) -> tuple[Path, int]:
        """The file of an object, which may be damaged, and its size in bytes.

        Raises:
            BackupDamaged: there is none.
            StoreChanged: the folder of the backup is not there.
        """
        existing = self._locate(content)
        if existing is None:
            self._check_disk()
            raise BackupDamaged(f"{content} is missing in the backup", _VERIFY_HINT)
        return existing

    def time_of(self, content: str) -> float:
        """When an object was written, in seconds since the epoch; 0 when there is none."""
        path = self.find(content)
        return 0.0 if path is None else self._files.lstat(path).st_mtime

    def discard(self, content: str) -> int:
        """Removes one object for good and returns its size in bytes, 0 when there is none.

        Raises:
            StoreError: it cannot be removed.
        """
        existing = self._locate(content)
        if existing is None:
            return 0
        path, size = existing
        try:
            self._files.remove(path)
        except OSError as error:
            self.fail(error)
        return size

    def objects(self) -> Iterator[str]:
        """The content hashes of all objects, sorted; files with other names are skipped.

        Raises:
            StoreError: a folder of the backup cannot be read.
        """
        for folder in self._folders():
            names = {name.partition(".")[0] for name in self._names(folder)}
            yield from sorted(name for name in names if CONTENT.fullmatch(name) and self.has(name))

    def remove_leftovers(self) -> None:
        """Removes the temporary files of a killed run. ``put`` does so itself in each folder it first writes to.

        Raises:
            StoreError: the backup cannot be listed or written.
        """
        for folder in (self.root, *self._folders()):
            try:
                self._clear(folder)
            except OSError as error:
                self.fail(error)

    def has_same_bytes(self, path: Path, existing: Path) -> bool:
        """Whether two files have the same bytes.

        Raises:
            OSError: one of them cannot be read.
        """
        return self._compare(path, existing)[0]

    def _locate(self, content: str) -> tuple[Path, int] | None:
        """The file of an object and its size."""
        name = f"{self._place}{_folder_name(content)}/{content}"
        for extension in _EXTENSIONS.values():
            path = f"{name}.{extension}"
            try:
                status = self._files.lstat(path)
            except OSError:
                continue
            if kind_of(status) is Kind.FILE:
                return Path(path), status.st_size
        return None

    def _check_disk(self) -> None:
        """Without its disk each object is missing, and none of them is to blame.

        Raises:
            StoreChanged: the folder that holds the backup is gone or cannot be looked at.
        """
        state = self.root.parent
        try:
            self._files.lstat(state)
        except FileNotFoundError as error:
            raise StoreChanged(
                f"{state.parent} has no store now: is its disk mounted?",
                "Mount it, then run the same command again; what was sent is recorded.",
            ) from error
        except OSError as error:
            raise StoreChanged(
                f"{state} cannot be read: {error.strerror}", remedy(error, state, writing=False)
            ) from error

    def _confirm(self, existing: Path, source: Path, content: str) -> bool:
        """Whether the existing object has the bytes of the source, each of them: a hash can be forged. One that is
        damaged or linked elsewhere must be written again."""
        try:
            same, digest = self._compare(source, existing)
        except OSError as error:
            if self.check(content) is not None:
                return False
            raise _unreadable(source, error) from error
        if digest != content:
            raise _changed(source)
        if not same:
            if self.check(content) is not None:
                return False
            raise Collision(
                f"{source} and {existing} are different images with one content hash",
                "save the image again with an image editor, so that its bytes change",
            )
        return not self.is_linked(content) and self.secure(content)

    def _write(self, source: Path, content: str, existing: Path | None) -> Path:
        folder = self._folder(content)
        self._open(folder)
        temp = temp_name(folder / content)
        self._files.copy_synced(source, temp)
        try:
            # The copy is checked, not the source, which may have changed at any moment.
            if self._hash(temp) != content:
                raise _changed(source)
            with self._files.open_read(temp) as file:
                extension = _EXTENSIONS[sniff(file.read(HEAD_BYTES))]
            target = existing or folder / f"{content}.{extension}"
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.remove(temp)
            raise
        try:
            self._files.publish(temp, target)
        except OSError:
            # Its name may not be durable, and repeating a failed sync proves nothing: write it again.
            self._durable_folders.discard(folder)
            with contextlib.suppress(OSError):
                self._files.remove(target)
            raise
        return target

    def _open(self, folder: Path) -> None:
        """Before the first write to a folder: creates it, and removes what a killed run left there."""
        with self._open_lock:
            for each in {self.root: None, folder: None}:
                if each in self._open_folders:
                    continue
                # If the store's disk was unmounted meanwhile, no second backup is made in its mount point.
                self._files.lstat(self.root.parent)
                self._files.make_folder(each)
                self._clear(each)
                if each == self.root and "README.txt" not in self._names(self.root):
                    self._files.write_synced(self.root / "README.txt", [README.encode()])
                self._open_folders.add(each)
        self._sync_names(folder)

    def _sync_names(self, folder: Path) -> None:
        """Makes the names in a folder of objects and in the folders above it durable. Once is enough, since each later
        object is followed by a sync; the process that created them may have been killed before its own."""
        with self._open_lock:
            for each in (*self._above, folder):
                if each not in self._durable_folders:
                    self._files.sync_folder(each)
                    self._durable_folders.add(each)

    def _clear(self, folder: Path) -> None:
        for name in self._names(folder):
            if name.startswith(TEMP_PREFIX):
                self._files.remove(folder / name)

    def _folder(self, content: str) -> Path:
        return Path(f"{self._place}{_folder_name(content)}")

    def _folders(self) -> Iterator[Path]:
        yield from (self._objects / name for name in self._names(self._objects) if len(name) == 2)

    def _names(self, folder: Path) -> list[str]:
        try:
            return sorted(name for name, _ in self._files.scan_folder(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"{folder} of the backup cannot be read: {error.strerror}",
                remedy(error, folder, writing=False),
            ) from error

    def _hash(self, path: Path) -> str:
        hasher = self._hasher()
        with self._files.open_read(path) as file:
            for chunk in self._files.chunks(file):
                hasher.update(chunk)
        return hasher.hexdigest()

    def _compare(self, source: Path, existing: Path) -> tuple[bool, str]:
        """Whether both have the same bytes, and the hash of the first."""
        hasher = self._hasher()
        same = True
        with self._files.open_read(source) as one, self._files.open_read(existing) as other:
            for chunk in self._files.chunks(one):
                hasher.update(chunk)
                same = same and _read_exactly(other, len(chunk)) == chunk
            same = same and not other.read(1)
        return same, hasher.hexdigest()

    def _blame(self, source: Path, error: OSError) -> NoReturn:
        """Raises the right error: a source that cannot be read fails its sample, a backup that cannot be written ends
        the run."""
        try:
            self._hash(source)
        except OSError:
            raise _unreadable(source, error) from error
        self.fail(error)

    def fail(self, error: OSError) -> NoReturn:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"the disk of the backup is full: {free_space(self._files, self.root.parent)} in {self.root}",
                f"{remedy(error, self.root)}; then run the command again: nothing was uploaded without a backup",
            ) from error
        raise Unworkable(
            f"the backup {self.root} cannot be written: {error.strerror}",
            remedy(error, self.root),
        ) from error


def _folder_name(content: str) -> str:
    if CONTENT.fullmatch(content) is None:
        raise ValueError(f"not a content hash: {content!r}")
    return content[:2]


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only at the end of the file; a single read may return fewer anywhere."""
    pieces = []
    while size and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _changed(source: Path) -> SourceChanged:
    return SourceChanged(f"{source} changed since it was scanned", "run the command again, which scans it again")


def _unreadable(source: Path, error: OSError) -> SourceChanged:
    return SourceChanged(
        f"{source} cannot be read: {error.strerror}",
        remedy(error, source, writing=False),
    )
