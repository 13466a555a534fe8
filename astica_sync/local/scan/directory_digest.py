"""One listing of one folder, reduced to digests, so that an unchanged folder needs no row of the index.

The files of a folder fall into buckets by their inodes, and each bucket has a *digest*: a hash of the names, sizes,
times and inodes of its files. A bucket with the same digest as before has not changed since the index had a row for
each of its files, so only the files of the other buckets are returned. The index stores the digests in ``folder.seal``.
"""

import marshal
from dataclasses import dataclass, field
from stat import S_IFREG

import xxhash

from astica_sync.local.filesystem import MAX_INT64, FileSystem, Kind, NamedEntry, kind_of
from astica_sync.local.layout import STATE_DIR

BUCKETS = 61
"""A prime, since some file systems number inodes in steps."""
BUCKETS_FROM_FILES = 1024
"""Smaller folders are one bucket."""
DIGEST_BYTES = 16
INVALID = bytes(DIGEST_BYTES)
"""The stored digest of a bucket whose files must be compared; no bucket has it."""

_KIND, _FILE = 0o170000, S_IFREG

ListedFile = tuple[str, int, int, int, int]
"""A name and its signature, all zeros where that was not asked for; the times may be out of bounds."""


@dataclass(slots=True)
class DirectoryListing:
    """One listing of one folder.

    ``digests`` are those of all buckets, concatenated; empty where the folder contains an entry that prevents them.
    ``files`` counts the regular files. ``changed_buckets`` are the numbers of the buckets with another digest than
    before, ``changed`` the files in them, ``others`` the entries that are not regular files. ``has_store``: the folder
    contains a store's hidden folder. ``linked``: a regular file has a second name (a hard link), by which it can be
    changed from outside; not looked at by ``list_names``.
    """

    digests: bytes = b""
    files: int = 0
    changed_buckets: list[int] = field(default_factory=list)
    changed: list[ListedFile] = field(default_factory=list)
    others: list[NamedEntry] = field(default_factory=list)
    has_store: bool = False
    linked: bool = False


def count_buckets(digests: bytes) -> int:
    return len(digests) // DIGEST_BYTES


def list_directory(
    files: FileSystem, path: str, digests: bytes | None, seed: int, *, is_root: bool = False
) -> DirectoryListing:
    """Lists the folder at ``path`` and compares it with its earlier ``digests``.

    ``seed`` (64 bits) stands for everything else that the index rows depend on: digests made with another seed never
    match. Files in the store's own folder (``is_root``) cannot be samples; all are returned in ``others``.

    Raises:
        OSError: the folder cannot be listed to its end.
    """
    listing = DirectoryListing()
    buckets = max(1, count_buckets(digests or b""))
    contents: list[list[ListedFile]] = [[] for _ in range(buckets)]
    adders = [bucket.append for bucket in contents]
    digestible = not is_root
    # This loop is most of the work of a status; its cost per file is counted in nanoseconds.
    for name, status in files.scan_folder(path):
        if name[0] == ".":
            listing.has_store = listing.has_store or name == STATE_DIR
        elif status is not None and status.st_mode & _KIND == _FILE and not is_root:
            inode = status.st_ino
            if status.st_nlink > 1:
                listing.linked = True
            if inode > MAX_INT64:
                inode &= MAX_INT64
            adders[inode % buckets]((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode))
        else:
            kind = None if status is None else kind_of(status)
            digestible = digestible and kind is Kind.FOLDER
            listing.others.append((name, kind, status.st_dev if status else 0))
    listing.files = sum(map(len, contents))
    if not listing.files or not digestible:
        listing.changed, listing.changed_buckets = [each for bucket in contents for each in bucket], [0]
        return listing
    if buckets != (suitable := BUCKETS if listing.files >= BUCKETS_FROM_FILES else 1):
        contents, buckets = _distribute(contents, suitable), suitable
    listing.digests = b"".join(_digest(bucket, seed) for bucket in contents)
    if digests is None or len(digests) != len(listing.digests):
        digests = INVALID * buckets
    for number, bucket in enumerate(contents):
        start = number * DIGEST_BYTES
        if listing.digests[start : start + DIGEST_BYTES] != digests[start : start + DIGEST_BYTES]:
            listing.changed_buckets.append(number)
            listing.changed += bucket
    return listing


def list_names(files: FileSystem, path: str, *, is_root: bool = False) -> DirectoryListing:
    """As ``list_directory``, for a folder that is not in the index: all its files will be read, so their names are
    enough.

    Raises:
        OSError: the folder cannot be listed to its end.
    """
    listing = DirectoryListing(changed_buckets=[0])
    for entry in files.name_folder(path):
        name = entry[0]
        if name[0] == ".":
            listing.has_store = listing.has_store or name == STATE_DIR
        elif entry[1] is Kind.FILE and not is_root:
            listing.changed.append((name, 0, 0, 0, 0))
        else:
            listing.others.append(entry)
    listing.files = len(listing.changed)
    return listing


def invalidate(digests: bytes, numbers: set[int]) -> bytes:
    """The same digests, with those of the numbered buckets replaced by ``INVALID``."""
    return b"".join(
        INVALID if number in numbers else digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
        for number in range(count_buckets(digests))
    )


def _distribute(contents: list[list[ListedFile]], buckets: int) -> list[list[ListedFile]]:
    result: list[list[ListedFile]] = [[] for _ in range(buckets)]
    for bucket in contents:
        for each in bucket:
            result[each[4] % buckets].append(each)
    return result


def _digest(bucket: list[ListedFile], seed: int) -> bytes:
    """Version 2 of marshal writes equal values as equal bytes, which later versions do not, and is the fastest way."""
    return xxhash.xxh3_128_digest(marshal.dumps(bucket, 2), seed)


def directory_stamp(files: FileSystem, path: str) -> tuple[int, int]:
    """Modification time and inode of a folder, to detect a change between two calls.

    Raises:
        OSError: its status cannot be read.
    """
    status = files.lstat(path)
    return status.st_mtime_ns, status.st_ino
