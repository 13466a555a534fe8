"""Reading one file of the store: its content hash, or why it cannot be a sample."""

from enum import StrEnum
from typing import NamedTuple

import xxhash

from astica_sync.store.disk import CHUNK, AnyPath, Disk, Signature, signature
from astica_sync.store.image import describe, sniff


class Ending(StrEnum):
    """How a reading ended. Only *read* says what the file is."""

    READ = "read"
    GONE = "gone"
    UNREADABLE = "unreadable"
    CHANGING = "changing"


class Reading(NamedTuple):
    """``signature`` is that of the bytes that were read; after *read* either ``content`` or ``reason`` is set."""

    ending: Ending
    signature: Signature | None = None
    content: str | None = None
    reason: str | None = None


def read_file(disk: Disk, path: AnyPath) -> Reading:
    """Reads the file as it is at one moment; tries twice when it changes meanwhile.

    Of a large file that is no PNG or JPEG by its first bytes nothing more is read. Never raises for what is on the
    disk.
    """
    for _ in range(2):
        try:
            found = _read_once(disk, path)
        except FileNotFoundError:
            return Reading(Ending.GONE)
        except OSError as error:
            return Reading(Ending.UNREADABLE, reason=f"cannot be read: {error.strerror}; mend its rights or its disk")
        if found is not None:
            return found
    return Reading(Ending.CHANGING, reason="is still being written; it is read again at the next scan")


def _read_once(disk: Disk, path: AnyPath) -> Reading | None:
    """None where the file changed meanwhile."""
    status, data, later = disk.read_small(path, CHUNK)
    if data is None:
        return _read_pieces(disk, path)
    before, after = signature(status), signature(later)
    if before != after or len(data) != after[0]:
        return None
    if sniff(data) is None:
        return Reading(Ending.READ, after, reason=describe(data, after[0]))
    return Reading(Ending.READ, after, xxhash.xxh3_128_hexdigest(data))


def _read_pieces(disk: Disk, path: AnyPath) -> Reading | None:
    digest = xxhash.xxh3_128()
    size = 0
    reason = None
    with disk.open_read(path) as file:
        before = signature(disk.fstat(file))
        for chunk in disk.chunks(file):
            if not size and sniff(chunk) is None:
                reason = describe(chunk, before[0])
                break
            size += len(chunk)
            digest.update(chunk)
        after = signature(disk.fstat(file))
    if before != after or (reason is None and size != after[0]):
        return None
    if not after[0]:
        # It was larger when it was looked at first.
        reason = describe(b"", 0)
    return Reading(Ending.READ, after, reason=reason, content=None if reason else digest.hexdigest())
