"""Reading one file of the store: its content hash, or why it cannot be a sample."""

import os
from enum import StrEnum
from typing import NamedTuple

import xxhash

from astica_sync.store.disk import CHUNK, AnyPath, Disk
from astica_sync.store.glance import Signature
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
    """Reads the file as it is at one moment, in pieces; tries twice when it changes meanwhile.

    Of a file that is no PNG or JPEG by its first bytes nothing more is read. Never raises for what is on the disk.
    """
    for _ in range(2):
        try:
            with disk.open_read(path) as file:
                before = signature(disk.fstat(file))
                digest = None
                size = 0
                reason = None
                for chunk in disk.chunks(file, max(1, min(CHUNK, before[0]))):
                    if not size and sniff(chunk) is None:
                        reason = describe(chunk, before[0])
                        break
                    size += len(chunk)
                    if digest is None and size == before[0]:
                        # Most files are one piece, and their end need not be looked for: their size is.
                        digest = xxhash.xxh3_128(chunk)
                        break
                    digest = digest or xxhash.xxh3_128()
                    digest.update(chunk)
                after = signature(disk.fstat(file))
        except FileNotFoundError:
            return Reading(Ending.GONE)
        except OSError as error:
            return Reading(Ending.UNREADABLE, reason=f"cannot be read: {error.strerror}; mend its rights or its disk")
        if before != after:
            continue
        if reason is not None or digest is None:
            return Reading(Ending.READ, after, reason=reason or describe(b"", 0))
        if size == after[0]:
            return Reading(Ending.READ, after, content=digest.hexdigest())
    return Reading(Ending.CHANGING, reason="is still being written; it is read again at the next scan")


def signature(status: os.stat_result) -> Signature:
    """What tells an unchanged file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
