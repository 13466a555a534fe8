"""Which stores this user has used, and where: an identity of our own, kept in the user's state folder.

``identity`` in that folder has 32 random hex digits, made once. With them a sentinel gets a *seal* that no other user
can make. ``stores/`` has one record for each store: the folder in which its sentinel was last used. Neither depends on
the machine or on numbers of the file system, so a remount, a new container with the same state folder, and a restored
home find the store again, and a copy elsewhere is not it.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from astica_sync.errors import ConfigError
from astica_sync.file_owner import create_private, foreign_owner, make_private_folder, remove_left_over
from astica_sync.system.user_folders import user_state_folder

_MOST_BYTES = 65_536
_IDENTITY = re.compile(rb"[0-9a-f]{32}\n")


@dataclass(frozen=True, slots=True)
class KnownStore:
    """The last use of a store. ``root`` is the path of its folder, ``device`` that folder's device number, ``sentinel``
    a hash of its ``store.json``."""

    root: str
    device: int
    sentinel: str


class KnownStores:
    """Reads and writes the user's state folder. What cannot be read is not known, and what cannot be written is not
    kept: the commands that send anything check the folder themselves."""

    def seal(self, text: str) -> str:
        """A keyed hash of the text that this user alone can make; "" where no state folder can keep the key."""
        try:
            secret = _identity(user_state_folder())
        except ConfigError:
            return ""
        return hashlib.blake2s(text.encode(), key=secret, person=b"astica").hexdigest()[:32] if secret else ""

    def find(self, store_id: str) -> KnownStore | None:
        """The last use of this store by this user."""
        try:
            data = _read(_file_of(store_id))
        except ConfigError:
            return None
        return _parse(data) if data is not None else None

    def last_use_at(self, folder: Path) -> tuple[Path, float] | None:
        """The store that this user last used in this folder or one above it, and when, in seconds since the epoch; by
        the records alone, whatever is there now."""
        found = []
        with contextlib.suppress(OSError, ConfigError):
            for file in (user_state_folder() / "stores").glob("*.json"):
                data = _read(file)
                known = _parse(data) if data is not None else None
                if known is not None and folder.is_relative_to(known.root):
                    found.append((file.stat().st_mtime, known.root))
        return (Path(max(found)[1]), max(found)[0]) if found else None

    def find_fault(self, store_id: str) -> OSError | None:
        """Why what this user knows of a store cannot be read, with the file in the error; None where it can, or where
        nothing is there."""
        try:
            files = (user_state_folder() / "identity", _file_of(store_id))
        except ConfigError:
            return None
        for file in files:
            try:
                _read_bytes(file)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                return error
        return None

    def remember(self, store_id: str, known: KnownStore) -> None:
        """Replaces the record of this store."""
        with contextlib.suppress(OSError, ConfigError):
            _replace(_file_of(store_id), json.dumps(asdict(known)).encode() + b"\n")


def _file_of(store_id: str) -> Path:
    # The id comes from a file of the store, so it is no name.
    name = hashlib.blake2s(store_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return user_state_folder() / "stores" / f"{name}.json"


def _identity(folder: Path) -> bytes:
    """This user's random digits, made at the first use; none where they can be neither read nor written."""
    file = folder / "identity"
    data = _read(file)
    if data is None or not _IDENTITY.fullmatch(data):
        with contextlib.suppress(OSError, ConfigError):
            _make_once(file, os.urandom(16).hex().encode() + b"\n", replace=data is not None)
        data = _read(file)
    return data.strip() if data is not None and _IDENTITY.fullmatch(data) else b""


@functools.lru_cache(maxsize=8)
def _parse(data: bytes) -> KnownStore | None:
    """Cached, since the same bytes are parsed again before every removal."""
    try:
        fields = json.loads(data)
        return KnownStore(str(fields["root"]), int(fields["device"]), str(fields["sentinel"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _read(file: Path) -> bytes | None:
    """The bytes of a file of this user's; None where it cannot be read, is a link, or is another user's."""
    with contextlib.suppress(OSError):
        return _read_bytes(file)
    return None


def _read_bytes(file: Path) -> bytes | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:
            return None if foreign_owner(os.fstat(descriptor)) is not None else opened.read(_MOST_BYTES)
    except OSError as error:
        # One that is opened has no name in an error of reading.
        error.filename = str(file)
        raise


def _replace(file: Path, data: bytes) -> None:
    temp = _write_temp(file, data)
    try:
        temp.replace(file)
    except OSError:
        temp.unlink(missing_ok=True)
        raise


def _make_once(file: Path, data: bytes, *, replace: bool) -> None:
    """Makes the file if no other process was faster; ``replace`` where there is a damaged one."""
    if replace:
        _replace(file, data)
        return
    temp = _write_temp(file, data)
    try:
        os.link(temp, file)
    except FileExistsError:
        pass
    except OSError:
        # No hard links on this file system.
        if not file.exists():
            temp.replace(file)
    finally:
        temp.unlink(missing_ok=True)


def _write_temp(file: Path, data: bytes) -> Path:
    make_private_folder(file.parent if file.parent.name != "stores" else file.parent.parent)
    make_private_folder(file.parent)
    temp = file.with_name(f".tmp-{os.urandom(8).hex()}")
    try:
        with open(create_private(temp), "wb") as opened:
            opened.write(data)
            opened.flush()
            with contextlib.suppress(OSError):
                os.fsync(opened.fileno())
    except BaseException:
        # A full disk leaves an empty one.
        temp.unlink(missing_ok=True)
        raise
    remove_left_over(file)
    return temp
