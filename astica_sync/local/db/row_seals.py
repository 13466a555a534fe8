"""Seals of single rows in caches: a cache may have come in a downloaded store, and what is in it decides about scores,
leaks and suggestions. A row counts only if this user's program has written it, with the secret of the user's state
folder; another one is asked or made again."""

import hashlib
import hmac

from astica_sync.local.known_stores import KnownStores

_BYTES = 16


class RowSeals:
    """Makes and checks the seals of one user. Where no state folder can keep a secret, no row is believed."""

    def __init__(self, known_stores: KnownStores | None = None) -> None:
        self._key = (known_stores or KnownStores()).seal("rows of caches").encode()

    @property
    def works(self) -> bool:
        """Whether there is a secret to seal with."""
        return bool(self._key)

    def seal(self, table: str, *values: object) -> bytes:
        """The seal of a row with these values, as SQLite returns them; empty where there is no secret."""
        if not self._key:
            return b""
        hasher = hashlib.blake2s(key=self._key, person=b"row", digest_size=_BYTES)
        for value in (table, *values):
            data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
            # With type and length, so that no two rows have the same text.
            hasher.update(b"%s %d " % (type(value).__name__.encode(), len(data)))
            hasher.update(data)
        return hasher.digest()

    def is_own(self, seal: object, table: str, *values: object) -> bool:
        """Whether the row has the seal of this user."""
        return bool(self._key) and isinstance(seal, bytes) and hmac.compare_digest(seal, self.seal(table, *values))
