"""Which content hashes an observation shows, in 16 bytes each: a watcher keeps it between two observations."""

import re
from bisect import bisect_left
from collections.abc import Iterable

from astica_sync.core.model import CONTENT_LENGTH

_CONTENT = re.compile(r"[0-9a-f]{32}")
_BYTES = CONTENT_LENGTH // 2


class HashSet:
    """A set that cannot change, made from uids of any form; those that hold no content hash are left out."""

    def __init__(self, uids: Iterable[str]) -> None:
        found = {bytes.fromhex(match[0]) for uid in uids if (match := _CONTENT.match(uid))}
        self._sorted = b"".join(sorted(found))

    def __len__(self) -> int:
        return len(self._sorted) // _BYTES

    def __contains__(self, content: str) -> bool:
        wanted = bytes.fromhex(content)
        place = bisect_left(range(len(self)), wanted, key=self._at)
        return place < len(self) and self._at(place) == wanted

    def _at(self, place: int) -> bytes:
        return self._sorted[place * _BYTES : (place + 1) * _BYTES]
