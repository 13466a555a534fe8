"""What this user allows to a store: to send the API key to an address (promise 10), to belong to another user.

A store may come in a downloaded archive. The address that its own files name (``store.json``, ``astica-sync.toml``)
gets the key only after the user has allowed this store to use it, which is recorded in the user's state folder,
outside of any store. ``init`` records the address that the user gave; ``astica-sync trust`` records, shows and
revokes. The same file has the users whose files this user believes in a store, see ``file_owner``.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from astica_sync.errors import ConfigError
from astica_sync.file_owner import make_private_folder, refuse_foreign_file
from astica_sync.service_address import spelled_address
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import reason_of, remedy

FILE_NAME = "trusted.json"


class UntrustedAddress(ConfigError):
    """A store's own files name an address that the user has not allowed."""


@dataclass(frozen=True, slots=True)
class TrustedAddress:
    """``store`` is the real path of the store's folder, ``since`` in seconds since the epoch."""

    store: str
    address: str
    since: float


@dataclass(frozen=True, slots=True)
class TrustedOwner:
    """``store`` and ``since`` as in ``TrustedAddress``; ``owner`` is the user id of whom files there may be."""

    store: str
    owner: int
    since: float


Record = TrustedAddress | TrustedOwner


def trusted_addresses(file: Path) -> list[TrustedAddress]:
    """Which addresses were allowed so far; none where the file is missing.

    Raises:
        ConfigError: the file cannot be read, is damaged, or belongs to another user.
    """
    return [one for one in _read(file) if isinstance(one, TrustedAddress)]


def trusted_owners(file: Path) -> list[TrustedOwner]:
    """Which owners were allowed so far.

    Raises:
        ConfigError: as ``trusted_addresses``.
    """
    return [one for one in _read(file) if isinstance(one, TrustedOwner)]


def owners_of(file: Path, store: Path) -> set[int]:
    """The user ids of those whose files are believed in this store.

    Raises:
        ConfigError: as ``trusted_addresses``.
    """
    return {one.owner for one in records_of(file, store) if isinstance(one, TrustedOwner)}


def records_of(file: Path, store: Path) -> list[Record]:
    """All that was allowed to this store.

    Raises:
        ConfigError: as ``trusted_addresses``.
    """
    place = os.path.realpath(store)
    return [one for one in _read(file) if one.store == place]


def _read(file: Path) -> list[Record]:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:
            refuse_foreign_file(os.fstat(descriptor), file, "the list of trusted addresses")
            return [_record(one) for one in json.loads(opened.read(1 << 24))]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"cannot read the list of trusted addresses {file}: {reason_of(error)}", remedy(error, file, writing=False)
        ) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"cannot read the list of trusted addresses {file}: {error}",
            "Remove it; astica-sync trust then allows each store again.",
        ) from None


def trust_address(file: Path, store: Path, address: str, now: float) -> None:
    """Allows the store at this place to send the key to this address.

    Raises:
        ConfigError: the list cannot be read.
        OSError: it cannot be written.
    """
    known = _read(file)
    place = os.path.realpath(store)
    if address in untrusted(file, store, [address]):
        _write(file, [*known, TrustedAddress(place, address, now)])


def trust_owner(file: Path, store: Path, owner: int, now: float) -> None:
    """Allows files of this user in the store at this place.

    Raises:
        ConfigError: the list cannot be read.
        OSError: it cannot be written.
    """
    if owner not in owners_of(file, store):
        _write(file, [*_read(file), TrustedOwner(os.path.realpath(store), owner, now)])


def revoke(file: Path, store: Path) -> list[Record]:
    """Takes back everything that was allowed for the store; returns what that was.

    Raises:
        ConfigError: the list cannot be read.
        OSError: it cannot be written.
    """
    known = _read(file)
    place = os.path.realpath(store)
    revoked = [one for one in known if one.store == place]
    if revoked:
        _write(file, [one for one in known if one.store != place])
    return revoked


def untrusted(file: Path, store: Path, addresses: Iterable[str]) -> list[str]:
    """Those of the addresses that the store may not use."""
    place = os.path.realpath(store)
    allowed = {one.address for one in trusted_addresses(file) if one.store == place}
    return sorted(set(addresses) - allowed)


def refuse_untrusted(file: Path, store: Path, addresses: Iterable[str]) -> None:
    """Refuses to use an address that a store's own files name and the user has not allowed.

    Raises:
        UntrustedAddress: there is one; nothing was sent.
    """
    refused = untrusted(file, store, addresses)
    if refused:
        raise UntrustedAddress(
            f"the files of the store {store} ask to send your API key to {' and '.join(map(spelled_address, refused))}",
            f"Nothing was sent. If you want that, allow it once: astica-sync trust --store {quote_path(str(store))}",
        )


def _record(fields: dict[str, object]) -> Record:
    store, since = str(fields["store"]), float(str(fields["since"]))
    if "owner" in fields:
        return TrustedOwner(store, int(str(fields["owner"])), since)
    return TrustedAddress(store, str(fields["address"]), since)


def _write(file: Path, records: Sequence[Record]) -> None:
    make_private_folder(file.parent)
    temp = file.with_name(f".tmp-{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temp, flags, 0o600), "wb") as opened:
            opened.write(json.dumps([asdict(one) for one in records], indent=2).encode() + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        temp.replace(file)
    finally:
        temp.unlink(missing_ok=True)
