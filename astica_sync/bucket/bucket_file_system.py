"""The file system of a store whose images lie in a bucket.

What is below the store's folder is answered by the bucket: prefixes are folders, objects are files. The store's own
files (``.astica-sync``, the settings, the ignore file) are on the disk. What a bucket does not answer is an error and
never an absence (promise 3).
"""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import xxhash

from astica_sync.bucket.bucket_error import AWAY, BucketError
from astica_sync.bucket.bucket_objects import About, BucketObjects, ObjectFile
from astica_sync.bucket.listed_page import ListedPage, Lister, is_usable
from astica_sync.bucket.read_ahead import ReadAhead
from astica_sync.bucket.source_binding import OWN_FILES
from astica_sync.local.filesystem import (
    MAX_INT64,
    TEMP_PREFIX,
    AnyPath,
    Entry,
    FileSystem,
    NamedEntry,
    kind_of,
)
from astica_sync.local.layout import STATE_DIR
from astica_sync.local.scan.placeholder import PLACEHOLDER_ENDINGS

_SETTLED_S = 86_400
"""An object's ETag tells each change of it, so its time need not, and is given as a day earlier: else what was put just
now, or by a clock that is ahead, would be read again by each scan."""
_MOST_KNOWN = 100_000
_FILE, _FOLDER, _ODD = stat.S_IFREG | 0o444, stat.S_IFDIR | 0o555, stat.S_IFIFO


class BucketFileSystem(FileSystem):
    """As ``FileSystem``, for a store at ``root`` whose images are in the bucket that ``lister`` and ``objects`` read.

    An object that is read is as it is at that moment; its status has the size and the ETag of what is read.
    """

    def __init__(self, root: Path, lister: Lister, objects: BucketObjects) -> None:
        super().__init__(root)
        self._base = str(root).rstrip("/")
        self._lister, self._objects = lister, objects
        self._ahead = ReadAhead(objects)
        self._lock = threading.Lock()
        # The folders that were listed or seen in a list, and of the files those whose status may be asked for.
        self._folders: set[str] = set()
        self._whole: set[str] = set()
        self._known: dict[str, dict[str, About]] = {}
        self._children: dict[str, set[str]] = {}

    @property
    def source(self) -> str:
        """The address of the bucket and the prefix."""
        return self._objects.name

    def keeps_inodes(self, path: Path) -> bool:
        return super().keeps_inodes(path) if self._below(path) is None else True

    def mount_identity(self, path: Path) -> str:
        return super().mount_identity(path) if self._below(path) is None else ""

    def mounts_below(self, root: AnyPath) -> frozenset[str]:
        return super().mounts_below(root) if self._below(root) is None else frozenset()

    def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
        folder = self._below(path)
        if folder is None:
            yield from super().scan_folder(path)
            return
        device = os.lstat(self._base).st_dev
        owner = os.geteuid(), os.getegid()
        above = f"{folder}/" if folder else ""
        before, known, names = self._known.get(folder, {}), dict[str, About](), list[tuple[str, int]]()
        seen, names_of_folders = set[str](), list[str]()
        for page in self._pages(folder, above):
            for name in page.folders:
                if name not in seen:
                    seen.add(name)
                    names_of_folders.append(name)
                    is_own = not folder and name in OWN_FILES
                    if not is_own:
                        self._folders.add(f"{above}{name}")
                    yield name, _status((_ODD if is_own else _FOLDER, device, *owner), 0, 0, _number(name))
            for name in page.odd:
                yield name, _status((_ODD, device, *owner), 0, 0, _number(name))
            for name, size, modified, tag in page.objects:
                inode = _inode(tag, name)
                if name in before or name.endswith(PLACEHOLDER_ENDINGS):
                    known[name] = About(size, modified, tag)
                names.append((name, inode))
                seconds = modified - _SETTLED_S if tag else modified
                yield name, _status((_FILE, device, *owner), size, seconds, inode)
        self._remember(folder, known, seen)
        if not folder:
            # A scan goes into the last one first.
            self._lister.expect(f"{name}/" for name in reversed(names_of_folders))
        self._ahead.listed(above, names)

    def name_folder(self, path: AnyPath) -> Iterator[NamedEntry]:
        if self._below(path) is None:
            yield from super().name_folder(path)
            return
        for name, status in self.scan_folder(path):
            kind = kind_of(status) if status else None
            yield name, kind, status.st_dev if status and not stat.S_ISREG(status.st_mode) else 0

    def lstat(self, path: AnyPath) -> os.stat_result:
        below = self._below(path)
        if not below:
            return os.lstat(path)
        if below in self._folders:
            return self._folder_status(below)
        above, _, name = below.rpartition("/")
        about = self._known.get(above, {}).get(name)
        if about is None:
            if name.endswith(PLACEHOLDER_ENDINGS) and above in self._whole:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            about = self._look(below, path)
        return self._folder_status(below) if about is None else self._file_status(name, about)

    def open_read(self, path: AnyPath) -> BinaryIO:
        below = self._below(path)
        if below is None:
            return super().open_read(path)
        above, _, name = self._checked(below, path).rpartition("/")

        def status_of(about: About) -> os.stat_result:
            self._note(above, name, about)
            return self._file_status(name, about)

        return cast(BinaryIO, self._objects.open(below, status_of))

    def read_small(self, path: AnyPath, most: int) -> tuple[os.stat_result, bytes | None, os.stat_result]:
        below = self._below(path)
        if below is None:
            return super().read_small(path, most)
        above, _, name = self._checked(below, path).rpartition("/")
        about, data = self._ahead.read(below, most)
        self._note(above, name, about)
        status = self._file_status(name, about)
        return status, data, status

    def fstat(self, file: BinaryIO) -> os.stat_result:
        return file.status if isinstance(file, ObjectFile) else super().fstat(file)

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        # A bucket has no folders: an object makes its prefix.
        if not self._below(path):
            super().make_folder(path, mode)

    @contextlib.contextmanager
    def hold_folder(self, root: Path, parts: Sequence[str], mode: int) -> Iterator[Path]:
        place = root.joinpath(*parts)
        if not self._below(place):
            with super().hold_folder(root, parts, mode) as held:
                yield held
            return
        yield place

    def write_synced(self, path: Path, chunks: Iterable[bytes], mode: int | None = None) -> None:
        below = self._below(path)
        if below is None:
            super().write_synced(path, chunks, mode)
        else:
            self._objects.write(self._checked(below, path), b"".join(chunks), new=False)

    def append_synced(self, path: Path, data: bytes) -> None:
        self._refuse_in_bucket(path)
        super().append_synced(path, data)

    def copy_synced(self, source: AnyPath, temp: Path, mode: int | None = None) -> None:
        """As ``FileSystem.copy_synced``. A temporary file for the bucket lies in the hidden folder until then."""
        waiting = self._waiting(temp)
        if self._below(source) is None:
            super().copy_synced(source, waiting, mode)
            return
        with self.open_read(source) as reader:
            self._write_temp(waiting, self.chunks(reader), 0o600)

    def publish(self, temp: Path, target: Path) -> None:
        self._send(temp, target, new=False)

    def publish_new(self, temp: Path, target: Path) -> None:
        self._send(temp, target, new=True)

    def sync_folder(self, path: Path) -> None:
        if not self._below(path):
            super().sync_folder(path)

    def remove(self, path: Path) -> None:
        waiting = self._waiting(path)
        if waiting == path:
            self._refuse_in_bucket(path)
        super().remove(waiting)

    def free_bytes(self, path: AnyPath) -> int | None:
        return None if self._below(path) else super().free_bytes(path)

    def _below(self, path: AnyPath) -> str | None:
        """The path in the bucket, "" for the store's folder; None for what is on the disk."""
        text = path if type(path) is str else str(path)
        base = self._base
        if not text.startswith(base):
            return None
        rest = text[len(base) :]
        if rest in ("", "/", "/."):
            return ""
        if rest[0] != "/":
            return None
        below = rest[1:].removesuffix("/.")
        return None if below.partition("/")[0] in OWN_FILES else below

    def _checked(self, below: str, path: AnyPath) -> str:
        """The path, where an object of that key can be read.

        Raises:
            OSError: it is the store's folder, or no path.
        """
        if not below:
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if not all(map(is_usable, below.split("/"))) or not _is_text(below):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return below

    def _pages(self, folder: str, above: str) -> Iterator[ListedPage]:
        if folder:
            self._checked(folder, folder)
        with self._lock:
            self._whole.discard(folder)
        is_empty = True
        for page in self._lister.pages(above):
            is_empty = is_empty and page.is_empty and not (folder and page.has_mark)
            yield page
        if is_empty:
            if not folder:
                # As a disk that is not mounted: a source that was deleted or exchanged looks like this.
                text = "nothing is below this address, so nothing in it counts as removed"
                raise BucketError(text, "check the address of the source and the bucket", self.source)
            self._folders.discard(folder)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self._base}/{folder}")
        self._folders.add(folder)
        with self._lock:
            self._whole.add(folder)

    def _look(self, below: str, path: AnyPath) -> About | None:
        """What is at a path now; None for a folder. Two requests: that a bucket is not there, only a list tells."""
        self._checked(below, path)
        return None if self._lister.has_any(f"{below}/") else self._objects.head(below)

    def _remember(self, folder: str, known: dict[str, About], children: set[str]) -> None:
        """After a whole list of a folder: what is in it, and no more what was in folders that are gone."""
        with self._lock:
            gone = self._children.get(folder, set()) - children
            self._children[folder] = children
            if gone:
                above = f"{folder}/" if folder else ""
                for kept in (self._folders, self._whole, self._known, self._children):
                    for one in [one for one in kept if one.startswith(above) and _first(one, above) in gone]:
                        kept.discard(one) if isinstance(kept, set) else kept.pop(one)
            if sum(map(len, self._known.values())) + len(known) > _MOST_KNOWN:
                self._known.clear()
            self._known[folder] = known

    def _note(self, folder: str, name: str, about: About) -> None:
        with self._lock:
            known = self._known.setdefault(folder, {})
            if len(known) < _MOST_KNOWN:
                known[name] = about

    def _folder_status(self, below: str) -> os.stat_result:
        device = os.lstat(self._base).st_dev
        return _status((_FOLDER, device, os.geteuid(), os.getegid()), 0, 0, _number(below.rpartition("/")[2]))

    def _file_status(self, name: str, about: About) -> os.stat_result:
        device = os.lstat(self._base).st_dev
        inode = _inode(about.tag, name)
        seconds = about.modified - _SETTLED_S if about.tag else about.modified
        return _status((_FILE, device, os.geteuid(), os.getegid()), about.size, seconds, inode)

    def _waiting(self, temp: Path) -> Path:
        """Where a temporary file for the bucket is until it is sent; other paths are as they are."""
        if not self._below(temp) or not temp.name.startswith(TEMP_PREFIX):
            return temp
        return Path(self._base, STATE_DIR, temp.name)

    def _send(self, temp: Path, target: Path, *, new: bool) -> None:
        below = self._below(target)
        if below is None:
            (super().publish_new if new else super().publish)(temp, target)
            return
        waiting = self._waiting(temp)
        try:
            with open(waiting, "rb") as file:
                self._objects.write(self._checked(below, target), file, new=new)
        finally:
            super().remove(waiting)

    def _refuse_in_bucket(self, path: Path) -> None:
        if self._below(path):
            raise BucketError("astica-sync removes and changes no object", AWAY, str(path))


def _first(path: str, above: str) -> str:
    return path[len(above) :].partition("/")[0]


def _inode(tag: str, name: str) -> int:
    """Another one for each content of each object."""
    return xxhash.xxh3_64_intdigest(f"{tag}/{name}".encode("utf-8", "surrogatepass")) & MAX_INT64


def _number(name: str) -> int:
    return xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) & MAX_INT64


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _status(kind: tuple[int, int, int, int], size: int, seconds: int, inode: int) -> os.stat_result:
    """A status with one link and all times at ``seconds``; ``kind`` is mode, device, user and group."""
    mode, device, user, group = kind
    ns = seconds * 1_000_000_000
    times = (seconds, seconds, seconds, float(seconds), float(seconds), float(seconds), ns, ns, ns)
    return os.stat_result((mode, inode, device, 1, user, group, size, *times))
