"""Which files of a folder have to be read again: one listing of it, compared with the index."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.local.class_folders.class_title import class_title_of, why_no_title
from astica_sync.local.db.index import Folder, Known
from astica_sync.local.filesystem import FileSystem, Kind, NamedEntry, bounded, kind_of
from astica_sync.local.layout import SETTINGS_FILE
from astica_sync.local.scan.directory_digest import DirectoryListing, count_buckets, invalidate
from astica_sync.local.scan.ignore import Ignore

REASONS = {
    None: "its type cannot be read; look at it with ls -l, which names the cause",
    Kind.SYMLINK: "symbolic link, not followed; replace it by the file itself, or list it in .astica-ignore",
    Kind.OTHER: "not a regular file; remove it, or list it in .astica-ignore",
    Kind.FILE: "not in a class folder; move it into one, or list it in .astica-ignore",
}
"""Why an entry of this kind is no sample; a file, where it is beside the class folders."""

_NOT_KNOWN: Known = (None, None, 0)


@dataclass(slots=True)
class DirectoryDiff:
    """How one listing differs from the index."""

    subfolders: list[tuple[str, int]] = field(default_factory=list)
    """To be scanned: name and device."""
    to_read: list[str] = field(default_factory=list)
    """Files that may have changed."""
    newest: int = 0
    """The latest change time of the files to read, in nanoseconds."""
    new: set[str] = field(default_factory=set)
    """The files that are not in the index."""
    problems: dict[bytes, str] = field(default_factory=dict)
    """Entries that cannot be samples and are not in the index as such, with the reason."""
    missing: set[bytes] = field(default_factory=set)
    """Names in the index that are not in the listing."""
    hiding: list[str] = field(default_factory=list)
    """Entries that may stand for files that were not seen, in the index as problems or not."""
    hidden_classes: set[str] = field(default_factory=set)
    """In the store's own folder: the classes whose files such entries may hide."""
    has_store: bool = False
    """The folder is a store itself."""
    files: int = 0
    """How many files were compared."""
    digests: bytes | None = None
    """To be stored: those of all buckets, invalid where the index will not have every file; None without digests."""


def diff_directory(
    listing: DirectoryListing,
    folder: Folder,
    read_known: Callable[[int, Sequence[int], int], dict[bytes, Known]],
    ignore: Ignore,
    *,
    forced: bool,
) -> DirectoryDiff:
    """Compares one listing with the index.

    ``read_known`` is ``Index.known``; it is called only where a digest differs. With ``forced`` every file is to be
    read.
    """
    diff = DirectoryDiff(files=listing.files, has_store=listing.has_store)
    prefix = os.fsdecode(folder.path) + "/" if folder.path else ""
    buckets = count_buckets(listing.digests)
    known = read_known(folder.folder_id, listing.changed_buckets, buckets) if listing.changed_buckets else {}
    inodes: set[int] = set()
    skips = ignore.skips
    for listed in listing.changed:
        name = listed[0]
        if skips(prefix + name, folder=False):
            continue
        row = known.pop(os.fsencode(name), None) if known else None
        if row is None:
            diff.new.add(name)
        stored = row and row[0]
        if forced or stored is None or stored != bounded(listed[1:]):
            diff.to_read.append(name)
            diff.newest = max(diff.newest, listed[3])
            inodes.add(listed[4])
    for entry in listing.others:
        _diff_other(diff, folder, entry, known, prefix, ignore)
    diff.missing = set(known)
    if buckets and not diff.problems:
        inodes.update(row[2] for row in known.values())
        diff.digests = invalidate(listing.digests, {inode % buckets for inode in inodes})
    return diff


def _diff_other(
    diff: DirectoryDiff, folder: Folder, entry: NamedEntry, known: dict[bytes, Known], prefix: str, ignore: Ignore
) -> None:
    """An entry that is a folder or cannot be a sample. (The six parameters are the state of ``diff_directory``.)"""
    name, kind, device = entry
    if ignore.skips(prefix + name, folder=kind is Kind.FOLDER):
        return
    title = class_title_of(name)
    if kind is Kind.FOLDER:
        if folder.path or title is not None:
            diff.subfolders.append((name, device))
            return
        reason = why_no_title(name)
    elif kind is Kind.FILE and name == SETTINGS_FILE:
        return
    else:
        reason = REASONS[kind]
    diff.files += 1
    if kind in (None, Kind.SYMLINK):
        diff.hiding.append(name)
        if not folder.path and title is not None:
            diff.hidden_classes.add(title)
    raw = os.fsencode(name)
    if known.pop(raw, _NOT_KNOWN)[:2] != (None, reason):
        diff.problems[raw] = reason


def find_tops(files: FileSystem, root: Path, known: Collection[bytes], names: Iterable[str]) -> set[bytes]:
    """The folders to scan for the sake of ``names`` (relative to the store), none of them inside another.

    A name that is not in the index, or is not a folder any more, is replaced by the nearest folder above it that is.
    """
    tops = set()
    for name in names:
        path = os.fsencode(name)
        while path and not (path in known and all(_is_folder(files, root, each) for each in (path, *above_of(path)))):
            path = path.rpartition(b"/")[0]
        tops.add(path)
    return {path for path in tops if not path or not tops.intersection([*above_of(path)])}


def _is_folder(files: FileSystem, root: Path, path: bytes) -> bool:
    try:
        return not path or kind_of(files.lstat(root / os.fsdecode(path))) is Kind.FOLDER
    except OSError:
        return False


def above_of(path: bytes) -> Iterator[bytes]:
    """The folders that contain a path, up to the store itself, which is ``b""``."""
    while path:
        path = path.rpartition(b"/")[0]
        yield path
