"""Reading one file of the store: its content hash, or why it cannot be a sample."""

import errno
from enum import StrEnum
from typing import NamedTuple

import xxhash

from astica_sync.local.filesystem import CHUNK, AnyPath, FileSystem, Signature, signature
from astica_sync.local.image.format import describe, sniff

CHANGING = "is still being written; the next scan reads it again"
_ADVICE = {
    errno.EACCES: "fix the permissions: chmod u+r on the file, chmod u+rx on its folder",
    errno.EPERM: "fix the permissions: chmod u+r on the file, chmod u+rx on its folder",
    errno.EIO: "the disk reports an error: check the disk, and restore the file from a copy",
    errno.ESTALE: "the network file system has lost it: mount it again",
    errno.EMFILE: "too many files are open: raise the limit with ulimit -n",
    errno.ENFILE: "too many files are open on this machine: end other programs",
}
_ANY_ADVICE = "fix the permissions (chmod u+r on the file, chmod u+rx on its folder) or check the disk"


class HashOutcome(StrEnum):
    """How a reading ended. Only *read* determines what the file is."""

    READ = "read"
    GONE = "gone"
    UNREADABLE = "unreadable"
    CHANGING = "changing"


class FileHash(NamedTuple):
    """``signature`` is that of the bytes that were read; after *read* either ``content`` or ``reason`` is set."""

    outcome: HashOutcome
    signature: Signature | None = None
    content: str | None = None
    reason: str | None = None


def unreadable_reason(error: OSError) -> str:
    """Why a file or folder cannot be read, and what to do, as a problem of the store."""
    advice = _ADVICE.get(error.errno or 0, _ANY_ADVICE)
    return f"cannot be read: {error.strerror}; {advice}"


def hash_file(files: FileSystem, path: AnyPath) -> FileHash:
    """Reads the file; a second time when it changes meanwhile.

    Of a large file that is not a PNG or JPEG by its first bytes no more is read. Never raises for what is on the disk.
    """
    for _ in range(2):
        try:
            result = _read_once(files, path)
        except FileNotFoundError:
            return FileHash(HashOutcome.GONE)
        except OSError as error:
            return FileHash(HashOutcome.UNREADABLE, reason=unreadable_reason(error))
        if result is not None:
            return result
    return FileHash(HashOutcome.CHANGING, reason=CHANGING)


def _read_once(files: FileSystem, path: AnyPath) -> FileHash | None:
    """None where the file changed meanwhile."""
    status, data, later = files.read_small(path, CHUNK)
    if data is None:
        return _read_chunks(files, path)
    before, after = signature(status), signature(later)
    if before != after or len(data) != after[0]:
        return None
    if sniff(data) is None:
        return FileHash(HashOutcome.READ, after, reason=describe(data, after[0]))
    return FileHash(HashOutcome.READ, after, xxhash.xxh3_128_hexdigest(data))


def _read_chunks(files: FileSystem, path: AnyPath) -> FileHash | None:
    hasher = xxhash.xxh3_128()
    size = 0
    reason = None
    with files.open_read(path) as file:
        before = signature(files.fstat(file))
        for chunk in files.chunks(file):
            if not size and sniff(chunk) is None:
                reason = describe(chunk, before[0])
                break
            size += len(chunk)
            hasher.update(chunk)
        after = signature(files.fstat(file))
    if before != after or (reason is None and size != after[0]):
        return None
    if not after[0]:
        # It was larger when its size was read first.
        reason = describe(b"", 0)
    return FileHash(HashOutcome.READ, after, reason=reason, content=None if reason else hasher.hexdigest())
