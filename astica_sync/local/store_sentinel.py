"""Recognising a store: its sentinel, and what this user's state folder knows of it.

The *sentinel* (``store.json``) says that this folder is the one copy that writes to the model. A scan of a folder that
is not the one its sentinel was made for proves no absence (promise 3). What decides is in ``core/store_identity.py``.
"""

import contextlib
import functools
import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from astica_sync.core.store_identity import IdentityFacts, Likeness, Number, RecordedPlace, Verdict, judge_identity
from astica_sync.errors import StoreChanged, StoreError, StoreMoved
from astica_sync.local.filesystem import MAX_INT64, FileSystem, Kind, kind_of
from astica_sync.local.jsonl import parse_json
from astica_sync.local.known_stores import KnownStore
from astica_sync.local.layout import Layout, has_store
from astica_sync.shell_quote import quote, quote_path
from astica_sync.system.error_advice import reason_of, remedy

SENTINEL_FORMAT = 1
_HIGHEST_ROOT_INODE = 1024
"""The root of every disk has a low number, the same on all disks of its kind: 1 (FUSE, FAT), 2 (ext4), 34 (ZFS), 128
(XFS), 256 (Btrfs)."""


@dataclass(frozen=True, slots=True)
class Sentinel:
    """What a store records about itself.

    ``device`` and ``inode`` are those of the store's folder when it was made. ``machine`` is a hash that identifies
    the machine without disclosing its id, "" where it has none. ``created_at`` is in seconds since the epoch. ``seal``
    is what this user's state folder alone can make of the other values, "" in stores of earlier versions.
    """

    store_id: str
    model_id: int
    train_url: str
    device: int
    inode: int
    machine: str
    created_at: float
    seal: str = ""

    def to_json(self) -> bytes:
        """The content of ``store.json``."""
        return json.dumps({"format": SENTINEL_FORMAT, **asdict(self)}, indent=2).encode() + b"\n"


def read_sentinel(layout: Layout, files: FileSystem | None = None) -> Sentinel:
    """Reads the store's ``store.json``.

    Raises:
        StoreChanged: there is no sentinel, or it cannot be read or parsed.
        StoreError: a newer version of the program wrote it.
    """
    return _read_sentinel(layout, files or FileSystem())[0]


def _read_sentinel(layout: Layout, files: FileSystem) -> tuple[Sentinel, bytes]:
    hint = "check that the disk is mounted; if this folder is the store, run astica-sync init again"
    try:
        with files.open_read(layout.sentinel_file) as file:
            data = file.read(MOST_BYTES)
        version, sentinel = _parse_sentinel(data)
    except FileNotFoundError as error:
        if unfinished := find_unfinished_init(layout, files):
            raise unfinished from error
        raise StoreChanged(f"{layout.sentinel_file} is missing; nothing was removed", hint) from error
    except OSError as error:
        raise StoreChanged(
            f"{layout.sentinel_file} cannot be read: {reason_of(error)}; nothing was removed",
            remedy(error, layout.sentinel_file, writing=False),
        ) from error
    except (ValueError, RecursionError) as error:
        raise StoreChanged(f"{layout.sentinel_file} is damaged; nothing was removed", hint) from error
    if version > SENTINEL_FORMAT:
        raise StoreError(f"{layout.root} was made by a newer version of astica-sync", "upgrade astica-sync")
    if sentinel is None:
        raise StoreChanged(f"{layout.sentinel_file} is not a valid sentinel; nothing was removed", hint)
    return sentinel, data


MOST_BYTES = 1 << 16


def find_unfinished_init(layout: Layout, files: FileSystem) -> StoreChanged | None:
    """The error that names the command, where this user's ``init --create`` was interrupted or is still running."""
    try:
        with files.open_read(layout.creation_file) as file:
            record = parse_json(file.read(1 << 20))
        # What came in an archive has no such seal, and its texts go into no command.
        is_ours = record["place"] == files.known_stores.seal(str(layout.creation_file)) != ""
        texts = {name: str(record[name]) for name in ("title", "type", "purpose", "tags") if record.get(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not is_ours or "title" not in texts:
        return None
    words = ["--create", quote(texts["title"]), "--purpose", quote(texts.get("purpose", "TEXT"))]
    words += [word for name in ("type", "tags") if name in texts for word in (f"--{name}", quote(texts[name]))]
    return StoreChanged(
        f"{layout.root} is not a store yet: astica-sync init has not ended there; nothing was removed",
        "wait if it is still running, else give its command again, which makes no second model: "
        f"astica-sync init {quote_path(str(layout.root))} {' '.join(words)}",
    )


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
        sentinel = Sentinel(**{name: record[name] for name in _FIELDS if name != "seal"}, seal=record.get("seal", ""))
    except (KeyError, TypeError):
        return version, None
    valid = all(type(getattr(sentinel, name)) is int for name in ("model_id", "device", "inode"))
    texts = ("store_id", "train_url", "machine", "seal")
    valid = valid and all(isinstance(getattr(sentinel, name), str) for name in texts)
    return version, sentinel if valid and 0 <= sentinel.model_id <= MAX_INT64 else None


_FIELDS = tuple(field.name for field in fields(Sentinel))


def new_sentinel(layout: Layout, files: FileSystem, bound: tuple[str, int, str], now: float) -> Sentinel:
    """The sentinel that makes the folder the store; ``bound`` is store id, model id and address."""
    store_id, model_id, train_url = bound
    status = files.lstat(layout.root)
    seal = files.known_stores.seal(_sealed(*bound))
    return Sentinel(store_id, model_id, train_url, status.st_dev, status.st_ino, machine_name(), now, seal)


def remember_root(layout: Layout, files: FileSystem) -> None:
    """Records that this user uses this sentinel in this folder."""
    sentinel, data = _read_sentinel(layout, files)
    known = KnownStore(str(layout.root), files.lstat(layout.root).st_dev, _hash(data))
    files.known_stores.remember(sentinel.store_id, known)


def is_own(layout: Layout, files: FileSystem) -> bool:
    """Whether this user has made or used the store in a folder of theirs: by the seal, or by the record of exactly this
    sentinel. Never true without a sentinel.

    Raises:
        StoreError: what this user knows of stores cannot be read.
    """
    try:
        sentinel, data = _read_sentinel(layout, files)
    except StoreError:
        return False
    known = files.known_stores.find(sentinel.store_id)
    sealed = _compare(sentinel.seal, files.known_stores.seal(_sealed_of(sentinel))) is Likeness.SAME
    if sealed or (known is not None and known.sentinel == _hash(data)):
        return True
    _refuse_unreadable_record(sentinel, files)
    return False


def check_root(layout: Layout, files: FileSystem | None = None) -> Sentinel:
    """Checks that the folder is the store that was made, and not a copy, by the table in ``core/store_identity.py``.

    Raises:
        StoreMoved: the folder is a copy, or was moved or made elsewhere; the message says which.
        StoreChanged: it is another folder, or missing.
        StoreError: a newer version of the program made it.
    """
    files = files or FileSystem()
    _refuse_linked_state(layout, files)
    sentinel, data = _read_sentinel(layout, files)
    try:
        status = files.lstat(layout.root)
    except OSError as error:
        raise StoreChanged(
            f"{layout.root} cannot be read: {reason_of(error)}; nothing was removed",
            remedy(error, layout.root, writing=False),
        ) from error
    here = KnownStore(str(layout.root), status.st_dev, _hash(data))
    known = files.known_stores.find(sentinel.store_id)
    if known == here and sentinel.inode == status.st_ino and sentinel.machine == machine_name() != "":
        # By the table this goes on whatever the file system is, and most calls end here.
        return sentinel
    command = f"astica-sync init {quote_path(str(layout.root))}"
    hint = f"if this folder is the one that writes to the model from now on: {command}"
    facts = IdentityFacts(
        user=_compare(sentinel.seal, files.known_stores.seal(_sealed_of(sentinel))),
        machine=_compare(sentinel.machine, machine_name()),
        number=_number(sentinel, status.st_ino, layout, files),
        place=_place(known, here),
        same_device=status.st_dev == (known or sentinel).device,
    )
    verdict = judge_identity(facts)
    if verdict is not Verdict.GO_ON and facts.place is RecordedPlace.UNKNOWN:
        _refuse_unreadable_record(sentinel, files)
    match verdict:
        case Verdict.GO_ON:
            if known != here:
                files.known_stores.remember(sentinel.store_id, here)
            return sentinel
        case Verdict.COPIED:
            was = _was_in(known, layout)
            raise StoreMoved(f"{layout.root} was moved to another disk or copied{was}; nothing was removed", hint)
        case Verdict.SUPERSEDED:
            other = known.root if known is not None else ""
            raise StoreMoved(
                f"astica-sync init has made {other} the copy that writes to the model, and {layout.root} is not it; "
                "nothing was removed",
                hint,
            )
        case Verdict.MADE_ELSEWHERE:
            raise StoreMoved(
                f"{layout.root} was made on another machine, in another container or by another user; nothing was "
                "removed",
                f"{hint}. In a container, set XDG_STATE_HOME to a folder that outlives it, so that this is asked once",
            )


def _refuse_unreadable_record(sentinel: Sentinel, files: FileSystem) -> None:
    """Without the records of this user a store looks like a copy, or like one of another machine."""
    error = files.known_stores.find_fault(sentinel.store_id)
    if error is not None:
        raise StoreChanged(
            f"{error.filename} cannot be read, which says whether you have made this store: {reason_of(error)}; "
            "nothing was removed",
            remedy(error, error.filename, writing=False),
        ) from error


def _was_in(known: KnownStore | None, layout: Layout) -> str:
    """Where the store was last, if that is known and elsewhere. What is there now tells a disk that is mounted under
    another path from a copy."""
    if known is None or known.root == str(layout.root):
        return ""
    if has_store(Path(known.root)):
        return f": it was in {known.root} when it was last used, and is there still"
    return f", or its disk is mounted under another path: it was in {known.root} before, and is not there now"


def _number(sentinel: Sentinel, inode: int, layout: Layout, files: FileSystem) -> Number:
    if files.keeps_inodes(layout.root):
        if sentinel.inode != inode:
            return Number.OTHER
        return Number.SAME if inode > _HIGHEST_ROOT_INODE else Number.COMMON
    return Number.COMMON if sentinel.inode == inode else Number.UNSTABLE


def _place(known: KnownStore | None, here: KnownStore) -> RecordedPlace:
    if known is None:
        return RecordedPlace.UNKNOWN
    if known.sentinel == here.sentinel:
        return RecordedPlace.HERE if known.root == here.root else RecordedPlace.ELSEWHERE
    return RecordedPlace.UNKNOWN if known.root == here.root else RecordedPlace.SUPERSEDED


def _compare(recorded: str, here: str) -> Likeness:
    if not recorded or not here:
        return Likeness.UNKNOWN
    return Likeness.SAME if recorded == here else Likeness.OTHER


def _sealed(store_id: str, model_id: int, train_url: str) -> str:
    return json.dumps([store_id, model_id, train_url])


def _sealed_of(sentinel: Sentinel) -> str:
    return _sealed(sentinel.store_id, sentinel.model_id, sentinel.train_url)


def _hash(data: bytes) -> str:
    return hashlib.blake2s(data).hexdigest()[:32]


def _refuse_linked_state(layout: Layout, files: FileSystem) -> None:
    """The hidden folder of a store that is open may have been exchanged for a link since it was checked."""
    with contextlib.suppress(OSError):
        if kind_of(files.lstat(layout.state)) is Kind.SYMLINK:
            raise StoreChanged(
                f"{layout.state} is a symbolic link, and writing through it would change other files",
                f"remove it if you did not make it: rm {quote_path(str(layout.state))}",
            )


@functools.cache
def machine_name() -> str:
    """A stable hash that identifies this machine without disclosing its id, as machine-id(5) requires; "" where it has
    none, as in most containers. A hint only: the containers of one image may have the same."""
    for source in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            identity = Path(source).read_text("ascii").strip()
            # systemd writes "uninitialized" into images.
            if identity and identity != "uninitialized":
                return hashlib.blake2s(identity.encode(), person=b"astica").hexdigest()[:16]
    return ""
