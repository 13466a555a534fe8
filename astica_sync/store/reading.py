"""Reading one file of the store: its content hash, or why it cannot be a sample."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

import xxhash

from astica_sync.store.disk import AnyPath, Disk
from astica_sync.store.image import describe, sniff

T = TypeVar("T")


class Ending(Enum):
    """How a reading ended. Only *read* says what the file is."""

    READ = auto()
    GONE = auto()
    UNREADABLE = auto()
    CHANGING = auto()


@dataclass(frozen=True, slots=True)
class Reading:
    """``status`` is that of the bytes that were read; after *read* either ``content`` or ``reason`` is set."""

    ending: Ending
    status: os.stat_result | None = None
    content: str | None = None
    reason: str | None = None


def read_file(disk: Disk, path: AnyPath) -> Reading:
    """Reads the file as it is at one moment, in pieces; tries twice when it changes meanwhile.

    Of a file that is no PNG or JPEG by its first bytes nothing more is read. Never raises for what is on the disk.
    """
    for _ in range(2):
        try:
            with disk.open_read(path) as file:
                before = disk.fstat(file)
                digest = xxhash.xxh3_128()
                size = 0
                reason = None
                for chunk in disk.chunks(file):
                    if not size and sniff(chunk) is None:
                        reason = describe(chunk, before.st_size)
                        break
                    digest.update(chunk)
                    size += len(chunk)
                after = disk.fstat(file)
        except FileNotFoundError:
            return Reading(Ending.GONE)
        except OSError as error:
            return Reading(Ending.UNREADABLE, reason=f"cannot be read: {error.strerror}; mend its rights or its disk")
        if signature(before) != signature(after):
            continue
        if reason is not None or before.st_size == 0:
            return Reading(Ending.READ, after, reason=reason or describe(b"", 0))
        if size == after.st_size:
            return Reading(Ending.READ, after, content=digest.hexdigest())
    return Reading(Ending.CHANGING, reason="is still being written; it is read again at the next scan")


def signature(status: os.stat_result) -> tuple[int, int, int, int]:
    """What tells an unchanged file: size, both times in nanoseconds, inode."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class _OneByOne(Executor):
    """Reads on the thread that scans, at once."""

    def submit(self, work: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(work(*args, **kwargs))
        return future


def readers(threads: int) -> Executor:
    """So many threads to read files on; none reads on the thread that asks, at once."""
    return ThreadPoolExecutor(threads, "read") if threads else _OneByOne()
