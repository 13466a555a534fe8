"""Recognising a store: its sentinel, the folder it was made in, and the machine.

The *sentinel* (``store.json``) records that this folder, on this disk, in this machine, is the one copy that writes
to the model. A scan of a folder that does not match its sentinel proves no absence (promise 3).
"""

import contextlib
import functools
import hashlib
import json
import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from astica_sync.errors import StoreChanged, StoreError
from astica_sync.local.filesystem import MAX_INT64, FileSystem, Kind, kind_of
from astica_sync.local.layout import Layout

SENTINEL_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Sentinel:
    """What a store records about itself.

    ``device`` and ``inode`` are those of the store's folder when it was made. ``machine`` is a hash that identifies
    the machine without disclosing its id. ``created_at`` is in seconds since the epoch.
    """

    store_id: str
    model_id: int
    train_url: str
    device: int
    inode: int
    machine: str
    created_at: float

    def to_json(self) -> bytes:
        """The content of ``store.json``."""
        return json.dumps({"format": SENTINEL_FORMAT, **asdict(self)}, indent=2).encode() + b"\n"


def read_sentinel(layout: Layout, files: FileSystem | None = None) -> Sentinel:
    """Reads the store's ``store.json``.

    Raises:
        StoreChanged: there is no sentinel, or it cannot be read or parsed.
        StoreError: a newer version of the program wrote it.
    """
    hint = "check that the disk is mounted; if this folder is the store, run astica-sync init again"
    try:
        with (files or FileSystem()).open_read(layout.sentinel_file) as file:
            version, sentinel = _parse_sentinel(file.read())
    except (OSError, ValueError) as error:
        raise StoreChanged(f"{layout.sentinel_file} is missing or cannot be read; nothing was removed", hint) from error
    if version > SENTINEL_FORMAT:
        raise StoreError(f"{layout.root} was made by a newer version of astica-sync", "upgrade astica-sync")
    if sentinel is None:
        raise StoreChanged(f"{layout.sentinel_file} is not a valid sentinel; nothing was removed", hint)
    return sentinel


@functools.lru_cache(maxsize=8)
def _parse_sentinel(data: bytes) -> tuple[int, Sentinel | None]:
    """The format version, and the sentinel where this version of the program can parse it.

    Cached, because the same bytes are parsed again before every removal.

    Raises:
        ValueError: the data are not JSON.
    """
    record = json.loads(data)
    version = record.get("format") if isinstance(record, dict) else None
    version = version if isinstance(version, int) else 0
    try:
        sentinel = Sentinel(**{field.name: record[field.name] for field in fields(Sentinel)})
    except (KeyError, TypeError):
        return version, None
    valid = all(type(getattr(sentinel, name)) is int for name in ("model_id", "device", "inode"))
    valid = valid and all(isinstance(getattr(sentinel, name), str) for name in ("store_id", "train_url", "machine"))
    return version, sentinel if valid and 0 <= sentinel.model_id <= MAX_INT64 else None


def check_root(layout: Layout, files: FileSystem | None = None) -> Sentinel:
    """Checks that the folder is the one the store was made in, on the machine it was made on.

    The inode and the machine must match. The device number alone may differ: removable and network file systems get
    another one at each mount, and a folder that has this sentinel under the same inode is the same folder or a
    block-for-block clone of its disk in the same machine, which nothing on it distinguishes.

    Raises:
        StoreChanged: the folder is another one, a copy, or missing; the message says which.
        StoreError: a newer version of the program made it.
    """
    files = files or FileSystem()
    _refuse_linked_state(layout, files)
    sentinel = read_sentinel(layout, files)
    hint = "if this copy is the one that writes to the model from now on, run astica-sync init here again"
    try:
        status = files.lstat(layout.root)
    except OSError as error:
        raise StoreChanged(f"{layout.root} cannot be read: {error.strerror}; nothing was removed", hint) from error
    if sentinel.machine != machine_name():
        raise StoreChanged(f"{layout.root} was made on another machine; nothing was removed", hint)
    if sentinel.inode != status.st_ino:
        raise StoreChanged(f"{layout.root} was moved to another disk or copied; nothing was removed", hint)
    return sentinel


def _refuse_linked_state(layout: Layout, files: FileSystem) -> None:
    """The hidden folder of a store that is open may have been exchanged for a link since it was checked."""
    with contextlib.suppress(OSError):
        if kind_of(files.lstat(layout.state)) is Kind.SYMLINK:
            raise StoreChanged(
                f"{layout.state} is a symbolic link, and writing through it would change other files",
                f"remove it if you did not make it: rm {shlex.quote(str(layout.state))}",
            )


@functools.cache
def machine_name() -> str:
    """A stable hash that identifies this machine without disclosing its id, as machine-id(5) requires."""
    identity = ""
    for source in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            identity = identity or Path(source).read_text().strip()
    if not identity:
        import uuid

        identity = f"{uuid.getnode():012x}"
    return hashlib.blake2s(identity.encode(), person=b"astica").hexdigest()[:16]
