"""A set of content hashes in 16 bytes each: a watcher keeps those of the last observation in memory."""

import re
from bisect import bisect_left
from collections.abc import Iterable

from astica_sync.core.model import CONTENT_LENGTH

_CONTENT = re.compile(r"[0-9a-f]{32}")
_BYTES = CONTENT_LENGTH // 2


class ContentHashSet:
    """An immutable set of the content hashes that uids begin with; a uid without a content hash is left out."""

    def __init__(self, uids: Iterable[str]) -> None:
        hashes = {bytes.fromhex(match[0]) for uid in uids if (match := _CONTENT.match(uid))}
        self._sorted = b"".join(sorted(hashes))

    def __len__(self) -> int:
        return len(self._sorted) // _BYTES

    def __contains__(self, content: str) -> bool:
        wanted = bytes.fromhex(content)
        index = bisect_left(range(len(self)), wanted, key=self._at)
        return index < len(self) and self._at(index) == wanted

    def _at(self, index: int) -> bytes:
        return self._sorted[index * _BYTES : (index + 1) * _BYTES]
