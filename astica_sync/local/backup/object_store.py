"""The objects of the backup: the exact bytes of every sample that ever went up, each named by its content hash.

The service never gives an image back, so these are what a removal relies on (promises 1 and 2). The format is in
docs/backup-format.md; whoever has no program left gets every image back with ``cp``.
"""

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

import xxhash

from astica_sync.errors import BackupDamaged, Collision, SourceChanged, StorageFull, StoreError, Unworkable
from astica_sync.local.backup.catalog import CONTENT
from astica_sync.local.filesystem import TEMP_PREFIX, FileSystem, Kind, kind_of, temp_beside
from astica_sync.local.image.format import HEAD_BYTES, sniff

_EXTENSIONS = {"jpeg": "jpg", "png": "png", None: "bin"}

_VERIFY_HINT = "run 'astica-sync backup verify', which names the file and repairs what it can"


README = """\
These are the exact bytes of every image that astica-sync has sent to the service, which gives none back.

objects/ab/abcdef....jpg   one image; the name is the XXH3-128 hash of its bytes (xxhsum -H2), the folder its
                           first two digits
catalog.jsonl              one line of JSON per image: its class, the file it was, its name here

To get images back, copy them: cp objects/*/* SOMEWHERE. The catalog says which image was which file.
Nothing here is needed by the images, and no image is ever changed. Files named .tmp-* are leftovers; delete them.
"""


class Hasher(Protocol):
    """What the backup needs of a hash; its digest has 32 hex digits."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """One object that is durable in the backup; ``is_new`` when this call wrote it. ``size`` is in bytes."""

    content: str
    path: Path
    size: int
    is_new: bool


class ObjectStore:
    """The objects under the folder ``root``, which the first ``put`` makes.

    Reading may happen from any thread and process; ``put`` belongs to the holder of the writer lock, in any of its
    threads.
    """

    def __init__(self, root: Path, fs: FileSystem, hasher: Callable[[], Hasher] = xxhash.xxh3_128) -> None:
        self.root = root
        self._fs = fs
        self._hasher = hasher
        self._place = f"{root}/objects/"
        # One lock per folder of objects: two threads never write one object, and rarely wait for each other.
        self._locks: dict[str, threading.Lock] = {}
        self._open_lock = threading.Lock()
        self._open_folders: set[Path] = set()
        self._kept_names: set[Path] = set()
        self._above = root.parent, root, root / "objects"

    def put(self, source: Path, content: str) -> Stored:
        """Makes sure that the bytes of ``source``, which hash to ``content``, are in the backup, durably.

        An object that stands already is re-read and compared; a rotten one is replaced. The object shares no inode
        with the source.

        Raises:
            SourceChanged: the file has other bytes by now, or cannot be read; scan again.
            Collision: another file with this content hash is in the backup.
            StorageFull: the disk is full.
            StoreError: the backup cannot be written for another reason.
        """
        with self._locks.setdefault(content[:2], threading.Lock()):
            standing = self._locate(content)
            if standing is not None and self._confirm(standing[0], source, content):
                return Stored(content, *standing, is_new=False)
            try:
                target = self._write(source, content, standing and standing[0])
                size = self._fs.lstat(target).st_size
            except OSError as error:
                self._blame(source, error)
            return Stored(content, target, size, is_new=True)

    def read(self, content: str) -> bytes:
        """The whole object, proven by its hash.

        Raises:
            BackupDamaged: it is missing, unreadable or has other bytes.
        """
        path = self.located(content)[0]
        try:
            with self._fs.open_read(path) as file:
                data = b"".join(self._fs.chunks(file))
        except OSError as error:
            raise BackupDamaged(f"{path} cannot be read: {error.strerror}", _VERIFY_HINT) from error
        hasher = self._hasher()
        hasher.update(data)
        if hasher.hexdigest() != content:
            raise BackupDamaged(f"{path} is damaged: its bytes are not what its name says", _VERIFY_HINT)
        return data

    def check(self, content: str) -> str | None:
        """Re-hashes one object from the disk; None when its bytes are what its name says, else the reason."""
        path = self.find(content)
        if path is None:
            return "missing in the backup"
        try:
            same = self._hash(path) == content
        except OSError as error:
            return f"unreadable in the backup: {error.strerror}"
        return None if same else "damaged in the backup: its bytes are not what its name says"

    def find(self, content: str) -> Path | None:
        """The file of an object, which may be rotten; None when there is none.

        Raises:
            ValueError: the text is no content hash, so it must not become a path.
        """
        standing = self._locate(content)
        return None if standing is None else standing[0]

    def has(self, content: str) -> bool:
        """Whether there is an object of this name; only ``check`` and ``read`` prove its bytes."""
        return self.find(content) is not None

    def secure(self, content: str) -> bool:
        """As ``has``, and an object that is there keeps its name whatever happens from now on.

        Raises:
            StorageFull, StoreError: that cannot be made sure.
        """
        standing = self._locate(content)
        if standing is None:
            return False
        try:
            self._keep_names(standing[0].parent)
        except OSError as error:
            self._fail(error)
        return True

    def size_of(self, content: str) -> int:
        """The size of an object in bytes.

        Raises:
            BackupDamaged: there is none.
        """
        return self.located(content)[1]

    def located(self, content: str) -> tuple[Path, int]:
        """The file of an object, which may be rotten, and its size in bytes.

        Raises:
            BackupDamaged: there is none.
        """
        standing = self._locate(content)
        if standing is None:
            raise BackupDamaged(f"{content} is missing in the backup", _VERIFY_HINT)
        return standing

    def time_of(self, content: str) -> float:
        """When an object was written, in seconds since the epoch; 0 when there is none."""
        path = self.find(content)
        return 0.0 if path is None else self._fs.lstat(path).st_mtime

    def discard(self, content: str) -> int:
        """Removes one object for good and returns its size in bytes, 0 when there is none.

        Raises:
            StoreError: it cannot be removed.
        """
        standing = self._locate(content)
        if standing is None:
            return 0
        path, size = standing
        try:
            self._fs.remove(path)
        except OSError as error:
            self._fail(error)
        return size

    def objects(self) -> Iterator[str]:
        """The content hashes of all objects, sorted; files of other names are passed over.

        Raises:
            StoreError: a folder of the backup cannot be read.
        """
        for folder in self._folders():
            names = {name.partition(".")[0] for name in self._names(folder)}
            yield from sorted(name for name in names if CONTENT.fullmatch(name) and self.has(name))

    def remove_leftovers(self) -> None:
        """Removes what a killed run left half-written. ``put`` does so itself in each folder it first writes to.

        Raises:
            StoreError: the backup cannot be listed or written.
        """
        for folder in (self.root, *self._folders()):
            try:
                self._clear(folder)
            except OSError as error:
                self._fail(error)

    def is_same(self, path: Path, standing: Path) -> bool:
        """Whether two files hold the same bytes.

        Raises:
            OSError: one of them cannot be read.
        """
        return self._compare(path, standing)[0]

    def _locate(self, content: str) -> tuple[Path, int] | None:
        """The file of an object and its size."""
        name = f"{self._place}{_folder_name(content)}/{content}"
        for extension in _EXTENSIONS.values():
            path = f"{name}.{extension}"
            try:
                status = self._fs.lstat(path)
            except OSError:
                continue
            if kind_of(status) is Kind.FILE:
                return Path(path), status.st_size
        return None

    def _confirm(self, standing: Path, source: Path, content: str) -> bool:
        """Whether the standing object is good; a rotten one is to be written anew."""
        if self.check(content) is not None:
            return False
        try:
            same, digest = self._compare(source, standing)
        except OSError as error:
            raise _unreadable(source, error) from error
        if digest != content:
            raise _changed(source)
        if not same:
            raise Collision(
                f"{source} and {standing} are different images with one content hash",
                "save the image again with an image editor, so that its bytes change",
            )
        return self.secure(content)

    def _write(self, source: Path, content: str, standing: Path | None) -> Path:
        folder = self._folder(content)
        self._open(folder)
        temp = temp_beside(folder / content)
        self._fs.copy_synced(source, temp)
        try:
            # What was copied is what counts: the source may have changed at any moment.
            if self._hash(temp) != content:
                raise _changed(source)
            with self._fs.open_read(temp) as file:
                extension = _EXTENSIONS[sniff(file.read(HEAD_BYTES))]
            target = standing or folder / f"{content}.{extension}"
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.remove(temp)
            raise
        try:
            self._fs.publish(temp, target)
        except OSError:
            # Its name may not be durable, and asking again for a failed sync proves nothing: write it anew.
            self._kept_names.discard(folder)
            with contextlib.suppress(OSError):
                self._fs.remove(target)
            raise
        return target

    def _open(self, folder: Path) -> None:
        """Before the first write into a folder: make it, and remove what a killed run left there."""
        with self._open_lock:
            for each in {self.root: None, folder: None}:
                if each in self._open_folders:
                    continue
                self._fs.make_folder(each)
                self._clear(each)
                if each == self.root and "README.txt" not in self._names(self.root):
                    self._fs.write_synced(self.root / "README.txt", [README.encode()])
                self._open_folders.add(each)
        self._keep_names(folder)

    def _keep_names(self, folder: Path) -> None:
        """Makes the names in a folder of objects durable, and those of the folders above it; once, since what is
        published later brings its own sync. Whoever made them may have been killed before his."""
        with self._open_lock:
            for each in (*self._above, folder):
                if each not in self._kept_names:
                    self._fs.sync_folder(each)
                    self._kept_names.add(each)

    def _clear(self, folder: Path) -> None:
        for name in self._names(folder):
            if name.startswith(TEMP_PREFIX):
                self._fs.remove(folder / name)

    def _folder(self, content: str) -> Path:
        return Path(f"{self._place}{_folder_name(content)}")

    def _folders(self) -> Iterator[Path]:
        objects = self.root / "objects"
        yield from (objects / name for name in self._names(objects) if len(name) == 2)

    def _names(self, folder: Path) -> list[str]:
        try:
            return sorted(name for name, _ in self._fs.scan_folder(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"{folder} of the backup cannot be read: {error.strerror}", "look at its owner, mode and disk"
            ) from error

    def _hash(self, path: Path) -> str:
        hasher = self._hasher()
        with self._fs.open_read(path) as file:
            for chunk in self._fs.chunks(file):
                hasher.update(chunk)
        return hasher.hexdigest()

    def _compare(self, source: Path, standing: Path) -> tuple[bool, str]:
        """Whether both hold the same bytes, and the hash of the first."""
        hasher = self._hasher()
        same = True
        with self._fs.open_read(source) as one, self._fs.open_read(standing) as other:
            for chunk in self._fs.chunks(one):
                hasher.update(chunk)
                same = same and _read_exactly(other, len(chunk)) == chunk
            same = same and not other.read(1)
        return same, hasher.hexdigest()

    def _blame(self, source: Path, error: OSError) -> NoReturn:
        """One file that cannot be read is its own misfortune; a backup that cannot be written stops the run."""
        try:
            self._hash(source)
        except OSError:
            raise _unreadable(source, error) from error
        self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = self._fs.free_bytes(self.root.parent)
            raise StorageFull(
                f"the disk of the backup is full: {free / 1e6:.1f} MB free in {self.root}",
                "free some space, then run the command again; nothing was sent without its backup",
            ) from error
        raise Unworkable(
            f"the backup cannot be written: {error.strerror}", f"look at the owner, mode and disk of {self.root}"
        ) from error


def _folder_name(content: str) -> str:
    if CONTENT.fullmatch(content) is None:
        raise ValueError(f"not a content hash: {content!r}")
    return content[:2]


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only at the end; one read may give fewer anywhere."""
    pieces = []
    while size and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _changed(source: Path) -> SourceChanged:
    return SourceChanged(f"{source} changed since it was scanned", "run the command again; it is scanned anew")


def _unreadable(source: Path, error: OSError) -> SourceChanged:
    return SourceChanged(
        f"{source} cannot be read: {error.strerror}", "look at its owner and mode, then run the command again"
    )
