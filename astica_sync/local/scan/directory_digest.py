"""One listing of one folder in a few bytes, so that what did not change costs no row of the index.

The files of a folder fall into buckets by their inodes, and each bucket has a *seal*: a hash of its files' names,
sizes, times and inodes. A bucket whose seal fits is as it was when the index was last right about all of it, so only
the files of the others are named.
"""

import marshal
from dataclasses import dataclass, field
from stat import S_IFREG

import xxhash

from astica_sync.local.filesystem import MOST, FileSystem, Kind, Named, kind_of
from astica_sync.local.layout import STATE_DIR
from astica_sync.local.scan.ignore import LITTER_LENGTHS, is_hidden

BUCKETS = 61
"""A prime, since some file systems number in steps."""
BUCKET_FROM = 1024
"""Smaller folders are one bucket."""
SEAL_BYTES = 16
BROKEN = bytes(SEAL_BYTES)
"""What no bucket's seal ever is: its files have to be compared."""

_KIND, _FILE = 0o170000, S_IFREG

Listed = tuple[str, int, int, int, int]
"""A name and its signature, of zeros where that was not asked for; its times may be out of bounds."""


@dataclass(slots=True)
class DirectoryListing:
    """What one listing shows. ``seals`` are those of all buckets, one after the other, and empty where the folder holds
    something that can have none; ``files`` counts the regular ones, ``changed`` are those of them in buckets without a
    fitting seal, ``broken`` the numbers of these buckets. ``nested``: there is a store in it."""

    seals: bytes = b""
    files: int = 0
    broken: list[int] = field(default_factory=list)
    changed: list[Listed] = field(default_factory=list)
    others: list[Named] = field(default_factory=list)
    nested: bool = False


def count_buckets(seals: bytes) -> int:
    return len(seals) // SEAL_BYTES


def list_directory(fs: FileSystem, path: str, seals: bytes | None, seed: int, *, odd: bool = False) -> DirectoryListing:
    """Lists the folder at ``path`` and compares it with its earlier ``seals``.

    ``seed`` (64 bits) stands for whatever else makes the index say what it says of a folder: seals made under another
    never fit. Where files cannot be samples (``odd``, the store's own folder), all are others.

    Raises:
        OSError: the folder cannot be listed to its end.
    """
    seen = DirectoryListing()
    buckets = max(1, count_buckets(seals or b""))
    filled: list[list[Listed]] = [[] for _ in range(buckets)]
    adders = [inside.append for inside in filled]
    sealable = not odd
    # This loop is most of the work of a status; what it does for each file is counted in nanoseconds.
    for name, status in fs.scan_folder(path):
        if (name[0] == "." or len(name) in LITTER_LENGTHS) and is_hidden(name):
            seen.nested = seen.nested or name == STATE_DIR
        elif status is not None and status.st_mode & _KIND == _FILE and not odd:
            inode = status.st_ino
            if inode > MOST:
                inode &= MOST
            adders[inode % buckets]((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode))
        else:
            kind = None if status is None else kind_of(status)
            sealable = sealable and kind is Kind.FOLDER
            seen.others.append((name, kind, status.st_dev if status else 0))
    seen.files = sum(map(len, filled))
    if not seen.files or not sealable:
        seen.changed, seen.broken = [each for inside in filled for each in inside], [0]
        return seen
    if buckets != (fitting := BUCKETS if seen.files >= BUCKET_FROM else 1):
        filled, buckets = _distribute(filled, fitting), fitting
    seen.seals = b"".join(_seal(inside, seed) for inside in filled)
    if seals is None or len(seals) != len(seen.seals):
        seals = BROKEN * buckets
    for number, inside in enumerate(filled):
        start = number * SEAL_BYTES
        if seen.seals[start : start + SEAL_BYTES] != seals[start : start + SEAL_BYTES]:
            seen.broken.append(number)
            seen.changed += inside
    return seen


def list_names(fs: FileSystem, path: str, *, odd: bool = False) -> DirectoryListing:
    """As ``list_directory``, for a folder of which nothing is known: all its files are to be read, so their
    names are enough.

    Raises:
        OSError: the folder cannot be listed to its end.
    """
    seen = DirectoryListing(broken=[0])
    for entry in fs.name_folder(path):
        name = entry[0]
        if (name[0] == "." or len(name) in LITTER_LENGTHS) and is_hidden(name):
            seen.nested = seen.nested or name == STATE_DIR
        elif entry[1] is Kind.FILE and not odd:
            seen.changed.append((name, 0, 0, 0, 0))
        else:
            seen.others.append(entry)
    seen.files = len(seen.changed)
    return seen


def break_seals(seals: bytes, numbers: set[int]) -> bytes:
    """The same seals, those of the numbered buckets broken."""
    return b"".join(
        BROKEN if number in numbers else seals[number * SEAL_BYTES : (number + 1) * SEAL_BYTES]
        for number in range(count_buckets(seals))
    )


def _distribute(filled: list[list[Listed]], buckets: int) -> list[list[Listed]]:
    again: list[list[Listed]] = [[] for _ in range(buckets)]
    for inside in filled:
        for each in inside:
            again[each[4] % buckets].append(each)
    return again


def _seal(files: list[Listed], seed: int) -> bytes:
    """Version 2 of marshal writes equal values as equal bytes, which later ones do not, and faster than anything
    else."""
    return xxhash.xxh3_128_digest(marshal.dumps(files, 2), seed)


def directory_stamp(fs: FileSystem, path: str) -> tuple[int, int]:
    """What tells whether a folder was changed between two looks at it.

    Raises:
        OSError: it cannot be looked at.
    """
    status = fs.lstat(path)
    return status.st_mtime_ns, status.st_ino
