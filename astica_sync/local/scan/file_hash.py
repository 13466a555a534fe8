"""Reading one file of the store: its content hash, or why it cannot be a sample."""

import errno
import os
from enum import StrEnum
from typing import NamedTuple

import xxhash

from astica_sync.local.filesystem import CHUNK, AnyPath, FileSystem, Signature, signature
from astica_sync.local.image.format import describe, preparable, sniff
from astica_sync.system.error_advice import reading_remedy

CHANGING = "is still being written; the next scan reads it again"


class HashOutcome(StrEnum):
    """How a reading ended. Only *read* determines what the file is."""

    READ = "read"
    GONE = "gone"
    UNREADABLE = "unreadable"
    CHANGING = "changing"


class FileHash(NamedTuple):
    """``signature`` is that of the bytes that were read; after *read* either ``content`` or ``reason`` is set.
    ``linked``: the file has a second name (a hard link); ``format``: that of an image which is converted before it is
    sent, "" for what is sent as it is."""

    outcome: HashOutcome
    signature: Signature | None = None
    content: str | None = None
    reason: str | None = None
    linked: bool = False
    format: str = ""


def unreadable_reason(error: OSError) -> str:
    """Why a file or folder cannot be read, and what to do, as a problem of the store."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"cannot be read: {error.strerror}; {reading_remedy(error)}"
    if error.errno == errno.ELOOP:
        return "symbolic link, not followed; replace it by the file or folder itself, or list it in .astica-ignore"
    if error.errno == errno.EIO:
        return f"cannot be read: {error.strerror}; check the disk, then copy it here again"
    if error.errno == errno.ESTALE:
        return f"cannot be read: {error.strerror}; mount the network file system again"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"cannot be read: {error.strerror}; close other programs, or raise the limit with ulimit -n"
    return f"cannot be read: {error.strerror}; look at dmesg, as the system gives no better reason"


def hash_file(files: FileSystem, path: AnyPath) -> FileHash:
    """Reads the file; a second time when it changes meanwhile.

    Of a large file that by its first bytes can be neither sent nor converted no more is read. Never raises for what is
    on the disk.
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
    linked = later.st_nlink > 1
    if before != after or len(data) != after[0]:
        return None
    converted = preparable(data)
    if converted is None and sniff(data) is None:
        return FileHash(HashOutcome.READ, after, reason=describe(data, after[0], os.fsdecode(path)), linked=linked)
    return FileHash(HashOutcome.READ, after, xxhash.xxh3_128_hexdigest(data), None, linked, converted or "")


def _read_chunks(files: FileSystem, path: AnyPath) -> FileHash | None:
    hasher = xxhash.xxh3_128()
    size = 0
    reason = converted = None
    with files.open_read(path) as file:
        before = signature(files.fstat(file))
        for chunk in files.chunks(file):
            if not size:
                converted = preparable(chunk, before[0])
                if converted is None and sniff(chunk) is None:
                    reason = describe(chunk, before[0], os.fsdecode(path))
                    break
            size += len(chunk)
            hasher.update(chunk)
        status = files.fstat(file)
        after = signature(status)
    if before != after or (reason is None and size != after[0]):
        return None
    if not after[0]:
        # It was larger when its size was read first.
        reason = describe(b"", 0)
    content = None if reason else hasher.hexdigest()
    return FileHash(HashOutcome.READ, after, content, reason, status.st_nlink > 1, converted or "")
