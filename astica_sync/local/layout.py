"""Where things lie in a store, and how a store is made, found and recognised again.

The *sentinel* is the file that says: this folder, on this disk, in this machine, is the one copy that writes to
that model. A scan of a folder without it proves nothing about absence (promise 3).
"""

import contextlib
import functools
import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from astica_sync.errors import NoStore, StoreChanged, StoreError
from astica_sync.local.filesystem import FileSystem

STATE_DIR = ".astica-sync"
SETTINGS_FILE = "astica-sync.toml"
IGNORE_FILE = ".astica-ignore"
ASKS = "watch-asks-"
"""How the names of files in the hidden folder begin that ask the watcher whether it has seen everything."""

SENTINEL_FORMAT = 1
# How far below a new store another store is looked for: class folders and what people nest in them.
_DEPTH = 3


@dataclass(frozen=True)
class Layout:
    """The paths of one store; ``root`` is absolute and without symbolic links. Each is put together once: joining paths
    takes longer than many a look at what they name."""

    root: Path

    @functools.cached_property
    def state(self) -> Path:
        return self.root / STATE_DIR

    @functools.cached_property
    def sentinel_file(self) -> Path:
        return self.state / "store.json"

    @functools.cached_property
    def index_db(self) -> Path:
        return self.state / "index.db"

    @functools.cached_property
    def journal_db(self) -> Path:
        return self.state / "journal.db"

    @functools.cached_property
    def backup(self) -> Path:
        return self.state / "backup"

    @functools.cached_property
    def lock_file(self) -> Path:
        return self.state / "lock"

    @functools.cached_property
    def last_view(self) -> Path:
        """The bytes of the last observation, for ``pull-status --offline``."""
        return self.state / "last-view.json"

    @functools.cached_property
    def last_columns(self) -> Path:
        """The same in columns; a cache."""
        return self.state / "last-view.columns"

    @functools.cached_property
    def watch_lock(self) -> Path:
        return self.state / "watch.lock"

    @functools.cached_property
    def watch_state(self) -> Path:
        """What the watcher of this store last said about itself."""
        return self.state / "watch.json"

    @functools.cached_property
    def watch_paused(self) -> Path:
        """While this file is there the watcher rests."""
        return self.state / "watch-paused"


@dataclass(frozen=True, slots=True)
class Sentinel:
    """What a store remembers about itself.

    ``device`` and ``inode`` are those of the store's folder when it was made, ``machine`` names the machine without
    giving its id away, ``created_at`` is in seconds since the epoch.
    """

    store_id: str
    model_id: int
    train_url: str
    device: int
    inode: int
    machine: str
    created_at: float


def find_store(start: Path) -> Layout:
    """The store that ``start`` lies in, looked for upwards as git does.

    Raises:
        NoStore: neither this folder nor any above it is a store.
    """
    try:
        here = start.resolve(strict=True)
    except OSError as error:
        raise NoStore(f"no such folder: {start}", "name a folder that exists") from error
    for folder in (here, *here.parents):
        if (folder / STATE_DIR).is_dir():
            return Layout(folder)
    raise NoStore(
        f"no store in {here} or above it", "run astica-sync init there first, or name the store with --store DIR"
    )


def create_store(
    root: Path, *, model_id: int, train_url: str, now: float, rebind: bool = False, fs: FileSystem | None = None
) -> Layout:
    """Makes the folder a store of that model; doing it again says that this copy is the one that writes.

    The store keeps its id when it is made again. ``rebind`` allows another model than the one it had.

    Raises:
        StoreError: not a writable folder, a store inside a store, or a store of another model.
    """
    fs = fs or FileSystem()
    layout = check_place(root)
    store_id = os.urandom(16).hex()
    with contextlib.suppress(StoreChanged):
        old = read_sentinel(layout)
        if (old.model_id, old.train_url) != (model_id, train_url) and not rebind:
            raise StoreError(
                f"{layout.root} is already the store of model {old.model_id} at {old.train_url}",
                f"use another folder, or set {layout.state} aside: the backup in it stays readable",
            )
        store_id = old.store_id
    status = fs.lstat(layout.root)
    sentinel = Sentinel(store_id, model_id, train_url, status.st_dev, status.st_ino, machine_name(), now)
    text = json.dumps({"format": SENTINEL_FORMAT, **asdict(sentinel)}, indent=2)
    try:
        fs.make_folder(layout.state)
        fs.write_synced(layout.sentinel_file, [text.encode() + b"\n"])
    except OSError as error:
        raise StoreError(
            f"cannot write {layout.sentinel_file}: {error.strerror}", "free space or mend the folder's rights"
        ) from error
    return layout


def check_place(root: Path) -> Layout:
    """Where a store would lie in this folder, when it can be one.

    Raises:
        StoreError: not a writable folder, or a store inside a store.
    """
    try:
        layout = Layout(root.resolve(strict=True))
    except OSError as error:
        raise StoreError(f"no such folder: {root}", "make the folder first, with one folder per class in it") from error
    if not layout.root.is_dir():
        raise StoreError(f"not a folder: {layout.root}", "a store is a folder with one folder per class in it")
    if not os.access(layout.root, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"cannot write to {layout.root}", "a store needs a folder that this user can read and write")
    _refuse_nesting(layout.root)
    return layout


def read_sentinel(layout: Layout, fs: FileSystem | None = None) -> Sentinel:
    """What the store remembers about itself.

    Raises:
        StoreChanged: there is no sentinel, or it cannot be read or understood.
        StoreError: a newer version of the program wrote it.
    """
    hint = "is the disk mounted? if this is the store, run astica-sync init again"
    try:
        with (fs or FileSystem()).open_read(layout.sentinel_file) as file:
            version, sentinel = _parse_sentinel(file.read())
    except (OSError, ValueError) as error:
        raise StoreChanged(f"{layout.sentinel_file} is missing or cannot be read; nothing was removed", hint) from error
    if version > SENTINEL_FORMAT:
        raise StoreError(f"{layout.root} was made by a newer version", "upgrade astica-sync")
    if sentinel is None:
        raise StoreChanged(f"{layout.sentinel_file} is not a sentinel; nothing was removed", hint)
    return sentinel


@functools.lru_cache(maxsize=8)
def _parse_sentinel(data: bytes) -> tuple[int, Sentinel | None]:
    """Its format, and what it says where this version can read that. It is looked at again before every removal, and
    its bytes are nearly always the same.

    Raises:
        ValueError: it is no JSON.
    """
    found = json.loads(data)
    version = found.get("format") if isinstance(found, dict) else None
    version = version if isinstance(version, int) else 0
    try:
        sentinel = Sentinel(**{field.name: found[field.name] for field in fields(Sentinel)})
    except (KeyError, TypeError):
        return version, None
    right = all(type(getattr(sentinel, name)) is int for name in ("model_id", "device", "inode"))
    return version, sentinel if right else None


def check_root(layout: Layout, fs: FileSystem | None = None) -> Sentinel:
    """Makes sure that the folder is the one the store was made in, on the machine it was made on.

    The inode and the machine must match. The device number alone may differ: removable and network file systems get
    another one at each mount, and a folder that carries this sentinel under the same inode is the same folder or a
    block-for-block clone of its disk in the same machine, which nothing on it could tell apart.

    Raises:
        StoreChanged: it is another folder, a copy, or not there; says which.
        StoreError: a newer version of the program made it.
    """
    sentinel = read_sentinel(layout, fs)
    hint = "if this copy is the one that writes to the model from now on, run astica-sync init here again"
    try:
        status = (fs or FileSystem()).lstat(layout.root)
    except OSError as error:
        raise StoreChanged(f"{layout.root} cannot be read: {error.strerror}; nothing was removed", hint) from error
    if sentinel.machine != machine_name():
        raise StoreChanged(f"{layout.root} was made on another machine; nothing was removed", hint)
    if sentinel.inode != status.st_ino:
        raise StoreChanged(f"{layout.root} was moved to another disk or copied; nothing was removed", hint)
    return sentinel


@functools.cache
def machine_name() -> str:
    """A stable name of this machine that does not give its id away, as machine-id(5) asks for."""
    identity = ""
    for source in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            identity = identity or Path(source).read_text().strip()
    if not identity:
        import uuid

        identity = f"{uuid.getnode():012x}"
    return hashlib.blake2s(identity.encode(), person=b"astica").hexdigest()[:16]


def _refuse_nesting(root: Path) -> None:
    hint = "a store cannot lie inside another one: choose a folder beside it"
    for folder in root.parents:
        if (folder / STATE_DIR).is_dir():
            raise StoreError(f"{root} lies inside the store {folder}", hint)
    folders = [root]
    for _ in range(_DEPTH):
        folders = [child for folder in folders for child in _folders_in(folder)]
        for folder in folders:
            if (folder / STATE_DIR).is_dir():
                raise StoreError(f"{root} contains the store {folder}", hint)


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as listing:
            return [Path(entry) for entry in listing if entry.is_dir(follow_symlinks=False) and entry.name != STATE_DIR]
    except OSError:
        return []
