"""Reading one file of the store: its content hash, or why it cannot be a sample."""

from enum import StrEnum
from typing import NamedTuple

import xxhash

from astica_sync.local.filesystem import CHUNK, AnyPath, FileSystem, Signature, signature
from astica_sync.local.image.format import describe, sniff


class HashOutcome(StrEnum):
    """How a reading ended. Only *read* says what the file is."""

    READ = "read"
    GONE = "gone"
    UNREADABLE = "unreadable"
    CHANGING = "changing"


class FileHash(NamedTuple):
    """``signature`` is that of the bytes that were read; after *read* either ``content`` or ``reason`` is set."""

    ending: HashOutcome
    signature: Signature | None = None
    content: str | None = None
    reason: str | None = None


def hash_file(fs: FileSystem, path: AnyPath) -> FileHash:
    """Reads the file as it is at one moment; tries twice when it changes meanwhile.

    Of a large file that is no PNG or JPEG by its first bytes nothing more is read. Never raises for what is on the
    disk.
    """
    for _ in range(2):
        try:
            found = _read_once(fs, path)
        except FileNotFoundError:
            return FileHash(HashOutcome.GONE)
        except OSError as error:
            return FileHash(
                HashOutcome.UNREADABLE, reason=f"cannot be read: {error.strerror}; mend its rights or its disk"
            )
        if found is not None:
            return found
    return FileHash(HashOutcome.CHANGING, reason="is still being written; it is read again at the next scan")


def _read_once(fs: FileSystem, path: AnyPath) -> FileHash | None:
    """None where the file changed meanwhile."""
    status, data, later = fs.read_small(path, CHUNK)
    if data is None:
        return _read_pieces(fs, path)
    before, after = signature(status), signature(later)
    if before != after or len(data) != after[0]:
        return None
    if sniff(data) is None:
        return FileHash(HashOutcome.READ, after, reason=describe(data, after[0]))
    return FileHash(HashOutcome.READ, after, xxhash.xxh3_128_hexdigest(data))


def _read_pieces(fs: FileSystem, path: AnyPath) -> FileHash | None:
    digest = xxhash.xxh3_128()
    size = 0
    reason = None
    with fs.open_read(path) as file:
        before = signature(fs.fstat(file))
        for chunk in fs.chunks(file):
            if not size and sniff(chunk) is None:
                reason = describe(chunk, before[0])
                break
            size += len(chunk)
            digest.update(chunk)
        after = signature(fs.fstat(file))
    if before != after or (reason is None and size != after[0]):
        return None
    if not after[0]:
        # It was larger when it was looked at first.
        reason = describe(b"", 0)
    return FileHash(HashOutcome.READ, after, reason=reason, content=None if reason else digest.hexdigest())
