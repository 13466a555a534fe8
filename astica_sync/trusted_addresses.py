"""Where this user allows a store to send the API key (promise 10).

A store may come in a downloaded archive. The address that its own files name (``store.json``, ``astica-sync.toml``)
gets the key only after the user has allowed this store to use it, which is recorded in the user's state folder,
outside of any store. ``init`` records the address that the user gave; ``astica-sync trust`` records, shows and
revokes.
"""

import json
import os
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from astica_sync.errors import ConfigError

FILE_NAME = "trusted.json"


class UntrustedAddress(ConfigError):
    """A store's own files name an address that the user has not allowed."""


@dataclass(frozen=True, slots=True)
class TrustedAddress:
    """``store`` is the real path of the store's folder, ``since`` in seconds since the epoch."""

    store: str
    address: str
    since: float


def trusted_addresses(file: Path) -> list[TrustedAddress]:
    """What was allowed so far; nothing where the file is missing.

    Raises:
        ConfigError: the file cannot be read or is damaged.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:
            records = json.loads(opened.read())
        return [TrustedAddress(str(one["store"]), str(one["address"]), float(one["since"])) for one in records]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
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
    known = trusted_addresses(file)
    place = os.path.realpath(store)
    if not any((one.store, one.address) == (place, address) for one in known):
        _write(file, [*known, TrustedAddress(place, address, now)])


def revoke(file: Path, store: Path) -> list[TrustedAddress]:
    """Takes back everything that was allowed for the store; returns what that was.

    Raises:
        ConfigError: the list cannot be read.
        OSError: it cannot be written.
    """
    known = trusted_addresses(file)
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
            f"the files of the store {store} ask to send your API key to {' and '.join(refused)}",
            f"Nothing was sent. If you want that, allow it once: astica-sync trust --store {shlex.quote(str(store))}",
        )


def _write(file: Path, records: list[TrustedAddress]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temp = file.with_name(f".tmp-{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temp, flags, 0o600), "wb") as opened:
        opened.write(json.dumps([asdict(one) for one in records], indent=2).encode() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    temp.replace(file)
