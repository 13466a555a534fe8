"""A file system in memory that knows what is durable.

Every folder has the names it shows and the names that would survive a power cut; every file its bytes and the bytes
that would. What the program does is durable only once it is synced; what users do has happened long ago. A power cut
keeps a prefix of each folder's pending changes and tears files that were not synced.
"""

import errno
import os
import random
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import xxhash

from astica_sync.local.filesystem import CHUNK, TEMP_PREFIX, Kind, NamedEntry, kind_of
from astica_sync.local.known_stores import KnownStore
from tests.simulation.world import Process, World

AnyPath = str | Path
DEVICE = 11
_FOLDER, _FILE = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644


class Stat:
    """The part of ``os.stat_result`` that the program looks at."""

    __slots__ = ("st_ctime_ns", "st_dev", "st_ino", "st_mode", "st_mtime_ns", "st_nlink", "st_size")

    def __init__(self, node: "Node") -> None:
        self.st_mode = node.mode
        self.st_size = len(node.data)
        self.st_mtime_ns = node.mtime
        self.st_ctime_ns = node.ctime
        self.st_ino = node.inode
        self.st_dev = node.device
        self.st_nlink = 1

    @property
    def st_mtime(self) -> float:
        return self.st_mtime_ns / 1e9

    @property
    def st_ctime(self) -> float:
        return self.st_ctime_ns / 1e9


class Node:
    """A file or a folder. ``epoch`` is when a user last changed it or put it in its place."""

    __slots__ = (
        "ctime", "data", "device", "durable", "entries", "epoch", "hash", "inode", "is_folder", "locked", "mode",
        "mtime", "pending", "synced",
    )  # fmt: skip

    def __init__(self, volume: "SimVolume", data: bytes | None) -> None:
        volume.inodes += 1
        self.inode = volume.inodes
        self.device = DEVICE
        self.is_folder = data is None
        self.mode = _FOLDER if data is None else _FILE
        self.data = data or b""
        self.synced: bytes | None = None
        self.entries: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}
        self.pending: list[tuple[tuple[str, Node | None], ...]] = []
        self.locked = False
        self.mtime = self.ctime = volume.now()
        self.epoch = volume.world.epoch
        self.hash: str | None = None

    def content(self) -> str:
        if self.hash is None:
            self.hash = xxhash.xxh3_128_hexdigest(self.data)
        return self.hash


class SimKnownStores:
    """``astica_sync.local.known_stores.KnownStores`` of the user of one machine."""

    def __init__(self) -> None:
        self._known: dict[str, KnownStore] = {}

    def seal(self, text: str) -> str:
        return f"sealed: {text}"

    def find(self, store_id: str) -> KnownStore | None:
        return self._known.get(store_id)

    def find_fault(self, store_id: str) -> OSError | None:
        return None

    def remember(self, store_id: str, known: KnownStore) -> None:
        self._known[store_id] = known


class SimVolume:
    """The disk of one machine, as its users see and change it. Times come in steps of ``grain`` nanoseconds. Where
    ``keeps_inodes`` is false, each mount gives new inodes to everything (FUSE, FAT)."""

    def __init__(self, world: World, grain: int) -> None:
        self.world = world
        self.grain = grain
        self.inodes = 5000
        self.keeps_inodes = True
        self.known_stores = SimKnownStores()
        self.root = Node(self, None)
        self._unsynced: set[Node] = set()
        self._pending: set[Node] = set()

    def now(self) -> int:
        time = int(self.world.time * 1e9)
        return time - time % self.grain

    def find(self, path: str, looking: bool = True) -> Node:
        """The node of a path; ``looking`` respects what cannot be read."""
        node = self.root
        for name in path.split("/")[1:]:
            found = None if looking and node.locked else node.entries.get(name)
            if found is None:
                locked = looking and node.locked
                raise _error((errno.EACCES if locked else errno.ENOENT) if node.is_folder else errno.ENOTDIR, path)
            node = found
        return node

    def get(self, path: str) -> Node | None:
        node: Node | None = self.root
        for name in path.split("/")[1:]:
            node = node.entries.get(name)
            if node is None:
                break
        return node

    # What users do is durable at once.

    def make_folder(self, path: str) -> Node:
        above, _, name = path.rpartition("/")
        parent = self.make_folder(above) if above else self.root
        node = parent.entries.get(name)
        if node is None:
            node = Node(self, None)
            self.place(parent, name, node)
        return node

    def write(self, path: str, data: bytes, in_place: bool = False) -> Node:
        """A new file under this name, or new bytes in the same file with its old modification time."""
        above, _, name = path.rpartition("/")
        parent = self.find(above, looking=False)
        node = parent.entries.get(name) if in_place else None
        if node is None:
            node = Node(self, data)
        else:
            node.data, node.hash, node.ctime, node.epoch = data, None, self.now(), self.world.epoch
        node.synced = data
        self.place(parent, name, node)
        return node

    def delete(self, path: str) -> Node:
        above, _, name = path.rpartition("/")
        parent = self.find(above, looking=False)
        node = parent.entries.pop(name)
        parent.durable.pop(name, None)
        parent.mtime = parent.ctime = self.now()
        return node

    def move(self, source: str, target: str) -> None:
        node = self.delete(source)
        above, _, name = target.rpartition("/")
        node.ctime = self.now()
        self.place(self.find(above, looking=False), name, node)

    def place(self, parent: Node, name: str, node: Node) -> None:
        node.epoch = self.world.epoch
        if parent.entries.get(name) is not node:
            parent.mtime = parent.ctime = self.now()
        parent.entries[name] = parent.durable[name] = node

    # What programs do is durable when it is synced.

    def change(self, parent: Node, *changes: tuple[str, Node | None]) -> None:
        for name, node in changes:
            if node is None:
                parent.entries.pop(name, None)
            else:
                parent.entries[name] = node
        parent.mtime = parent.ctime = self.now()
        parent.pending.append(changes)
        self._pending.add(parent)

    def fill(self, node: Node, data: bytes) -> None:
        node.data += data
        node.hash = None
        node.mtime = node.ctime = self.now()
        self._unsynced.add(node)

    def sync(self, node: Node) -> None:
        if node.is_folder:
            node.durable = dict(node.entries)
            node.pending = []
            self._pending.discard(node)
        else:
            node.synced = node.data
            self._unsynced.discard(node)

    def cut_power(self, draw: random.Random) -> None:
        for folder in sorted(self._pending, key=lambda node: node.inode):
            for changes in folder.pending[: draw.randint(0, len(folder.pending))]:
                for name, node in changes:
                    if node is None:
                        folder.durable.pop(name, None)
                    else:
                        folder.durable[name] = node
            folder.entries = dict(folder.durable)
            folder.pending = []
        for file in sorted(self._unsynced, key=lambda node: node.inode):
            old, new = file.synced or b"", file.data
            torn = new[: draw.randint(0, len(new))]
            file.data = draw.choice((old, torn, torn + bytes(len(new) - len(torn)), new))
            file.synced, file.hash = file.data, None
        self._pending.clear()
        self._unsynced.clear()

    def mount_again(self, root: Node) -> None:
        """What a mount does to the inodes below ``root``."""
        if not self.keeps_inodes:
            self.inodes += 1
            root.inode = self.inodes
            for node in root.entries.values():
                self.mount_again(node)

    def durable_file(self, root: Node, path: str) -> bytes | None:
        """What a power cut at this moment would surely leave of a file."""
        node = root
        for name in path.split("/"):
            found = node.durable.get(name)
            if found is None or node.entries.get(name) is not found:
                return None
            node = found
        return None if node.is_folder else node.synced


class _Open:
    """An open file; what is read is what stands there at that moment."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._at = 0

    def __enter__(self) -> "_Open":
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def read(self, size: int = -1) -> bytes:
        data = self.node.data[self._at :] if size < 0 else self.node.data[self._at : self._at + size]
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        self._at = max(0, offset + (len(self.node.data) if whence == os.SEEK_END else 0))


class SimFileSystem:
    """``astica_sync.local.filesystem.FileSystem`` for one process: the same steps, on the file system in memory."""

    def __init__(self, volume: SimVolume, process: Process) -> None:
        self._volume = volume
        self._process = process
        self._temps = 0
        self.known_stores = volume.known_stores

    def keeps_inodes(self, path: AnyPath) -> bool:
        return self._volume.keeps_inodes

    def mounts_below(self, root: AnyPath) -> frozenset[str]:
        return frozenset()

    def scan_folder(self, path: AnyPath) -> Iterator[tuple[str, Any]]:
        self._process.effect("list")
        folder = self._volume.find(os.fspath(path))
        if folder.locked or not folder.is_folder:
            raise _error(errno.EACCES if folder.is_folder else errno.ENOTDIR, str(path))
        for name, node in list(folder.entries.items()):
            yield name, Stat(node)
        self._process.effect("listed")

    def name_folder(self, path: AnyPath) -> Iterator[NamedEntry]:
        for name, status in self.scan_folder(path):
            kind = kind_of(status)
            yield name, kind, 0 if kind is Kind.FILE else status.st_dev

    def lstat(self, path: AnyPath) -> Any:
        return Stat(self._volume.find(os.fspath(path)))

    def open_read(self, path: AnyPath) -> Any:
        self._process.effect("open")
        node = self._volume.find(os.fspath(path))
        if node.is_folder:
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if node.locked:
            raise _error(errno.EACCES, str(path))
        return _Open(node)

    def read_small(self, path: AnyPath, most: int) -> tuple[Any, bytes | None, Any]:
        with self.open_read(path) as file:
            before = self.fstat(file)
            data = None if before.st_size > most else file.read(before.st_size)
            return before, data, self.fstat(file)

    def fstat(self, file: Any) -> Any:
        self._process.effect("fstat")
        return Stat(file.node)

    def chunks(self, file: Any, size: int = CHUNK) -> Iterator[bytes]:
        while piece := file.read(size):
            yield piece

    def make_folder(self, path: AnyPath, mode: int = 0o777) -> None:
        text = os.fspath(path)
        node = self._volume.get(text)
        if node is not None and node.is_folder:
            return
        above, _, name = text.rpartition("/")
        if above:
            self.make_folder(above)
        self._process.effect("mkdir")
        self._volume.change(self._volume.find(above), (name, Node(self._volume, None)))
        self.sync_folder(above)

    def write_synced(self, path: AnyPath, chunks: Iterable[bytes], mode: int = 0o666) -> None:
        self._temps += 1
        temp = f"{os.fspath(path).rpartition('/')[0]}/{TEMP_PREFIX}{self._process.name}-{self._temps}"
        node = self._create(temp)
        try:
            for chunk in chunks:
                self._write(node, chunk)
            self._sync_file(node)
        except BaseException:
            self.remove(temp)
            raise
        self.publish(temp, path)

    def append_synced(self, path: AnyPath, data: bytes) -> None:
        text = os.fspath(path)
        node = self._volume.get(text)
        fresh = node is None
        if node is None:
            node = self._create(text)
        self._write(node, data)
        self._sync_file(node)
        if fresh:
            self.sync_folder(text.rpartition("/")[0])

    def copy_synced(self, source: AnyPath, temp: AnyPath, mode: int | None = None) -> None:
        with self.open_read(source) as reader:
            node = self._create(temp)
            try:
                self._write(node, reader.read())
                self._sync_file(node)
            except BaseException:
                self.remove(temp)
                raise

    def publish(self, temp: AnyPath, target: AnyPath) -> None:
        above, _, name = os.fspath(target).rpartition("/")
        old_name = os.fspath(temp).rpartition("/")[2]
        try:
            self._process.effect("rename")
            parent = self._volume.find(above)
            self._volume.change(parent, (old_name, None), (name, parent.entries[old_name]))
        except BaseException:
            self.remove(temp)
            raise
        self.sync_folder(above)

    def sync_folder(self, path: AnyPath) -> None:
        self._process.effect("sync folder")
        self._volume.sync(self._volume.find(os.fspath(path)))

    def remove(self, path: AnyPath) -> None:
        self._process.effect("remove")
        above, _, name = os.fspath(path).rpartition("/")
        parent = self._volume.find(above)
        if name in parent.entries:
            self._volume.change(parent, (name, None))

    def time_ns(self, folder: Path) -> int:
        self._process.effect("time")
        return self._volume.now()

    def free_bytes(self, path: AnyPath) -> int:
        return 1_000_000_000

    def _create(self, path: AnyPath) -> Node:
        self._process.effect("create")
        above, _, name = os.fspath(path).rpartition("/")
        node = Node(self._volume, b"")
        self._volume.change(self._volume.find(above), (name, node))
        return node

    def _write(self, node: Node, data: bytes) -> None:
        half = len(data) // 2
        self._process.effect("write")
        self._volume.fill(node, data[:half])
        self._process.effect("write on")
        self._volume.fill(node, data[half:])

    def _sync_file(self, node: Node) -> None:
        self._process.effect("sync")
        self._volume.sync(node)


_MEANINGS = {number: os.strerror(number) for number in (errno.EACCES, errno.ENOENT, errno.ENOTDIR)}


def _error(number: int, path: str) -> OSError:
    return OSError(number, _MEANINGS[number], path)
