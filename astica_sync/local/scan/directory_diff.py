"""One listing of one folder, compared with what the index knows of it."""

import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.local.db.index import Folder, Known
from astica_sync.local.filesystem import FileSystem, Kind, Named, bounded, kind_of
from astica_sync.local.layout import SETTINGS_FILE
from astica_sync.local.scan.directory_digest import DirectoryListing, break_seals, count_buckets
from astica_sync.local.scan.ignore import Ignore

_IN_ROOT = "not in a class folder; move it into one, or list it in .astica-ignore"
_BAD_TITLE = "the folder's name cannot be a class: blank, control characters or no UTF-8; rename it"
_REASONS = {
    None: "cannot be looked at; mend the folder's rights or its disk",
    Kind.SYMLINK: "symbolic link, which is not followed: put the file itself here, or list it in .astica-ignore",
    Kind.OTHER: "not a regular file; remove it, or list it in .astica-ignore",
    Kind.FILE: _IN_ROOT,
}

_UNSEEN: Known = (None, None, 0)


@dataclass(slots=True)
class DirectoryDiff:
    """What one listing shows.

    ``folders`` are to be visited; ``unread`` files may have changed, the last of them at ``newest`` (its change time in
    nanoseconds), or are ``new``, not known to the index; ``odd`` names cannot be samples, and the index does not say
    so yet; ``missing`` names were known and are not there.
    ``hides``: an entry may stand for files that were not seen; ``hidden_classes`` are those it may stand for in the
    store's own folder. ``nested``: this folder is a store itself. ``files`` were looked at. ``seal`` are the seals of
    all buckets, broken where the index does not yet know every file; None where nothing can be sealed.
    """

    folders: list[tuple[str, int]] = field(default_factory=list)
    """Name and device."""
    unread: list[str] = field(default_factory=list)
    newest: int = 0
    new: set[str] = field(default_factory=set)
    odd: dict[bytes, str] = field(default_factory=dict)
    missing: set[bytes] = field(default_factory=set)
    hides: bool = False
    hidden_classes: set[str] = field(default_factory=set)
    nested: bool = False
    files: int = 0
    seal: bytes | None = None


def class_title_of(name: str) -> str | None:
    """The class that a first-level folder of this name is; None where the name cannot be a class title."""
    title = unicodedata.normalize("NFC", name)
    if not title.strip() or any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in title):
        return None
    return title


def diff_directory(
    found: DirectoryListing,
    folder: Folder,
    known_of: Callable[[int, Sequence[int], int], dict[bytes, Known]],
    ignore: Ignore,
    *,
    forced: bool,
) -> DirectoryDiff:
    """Compares one listing with what ``known_of`` gives for a folder's id and some of so many buckets; it is asked only
    where a seal is broken. ``forced`` takes every file for unread: nothing is known then but names."""
    seen = DirectoryDiff(files=found.files, nested=found.nested)
    prefix = os.fsdecode(folder.path) + "/" if folder.path else ""
    buckets = count_buckets(found.seals)
    known = known_of(folder.folder_id, found.broken, buckets) if found.broken else {}
    unsure: set[int] = set()
    skips = ignore.skips if ignore else None
    for listed in found.changed:
        name = listed[0]
        if skips and skips(prefix + name, folder=False):
            continue
        row = known.pop(os.fsencode(name), None) if known else None
        if row is None:
            seen.new.add(name)
        kept = row and row[0]
        if forced or kept is None or kept != bounded(listed[1:]):
            seen.unread.append(name)
            seen.newest = max(seen.newest, listed[3])
            unsure.add(listed[4])
    for entry in found.others:
        _look_at_odd(seen, folder, entry, known, prefix, ignore)
    seen.missing = set(known)
    if buckets and not seen.odd:
        unsure.update(row[2] for row in known.values())
        seen.seal = break_seals(found.seals, {inode % buckets for inode in unsure})
    return seen


def _look_at_odd(
    seen: DirectoryDiff, folder: Folder, entry: Named, known: dict[bytes, Known], prefix: str, ignore: Ignore
) -> None:
    name, kind, device = entry
    if ignore.skips(prefix + name, folder=kind is Kind.FOLDER):
        return
    title = class_title_of(name)
    if kind is Kind.FOLDER:
        if folder.path or title is not None:
            seen.folders.append((name, device))
            return
        reason = _BAD_TITLE
    elif kind is Kind.FILE and name == SETTINGS_FILE:
        return
    else:
        reason = _REASONS[kind]
    seen.files += 1
    if kind in (None, Kind.SYMLINK):
        seen.hides = True
        if not folder.path and title is not None:
            seen.hidden_classes.add(title)
    raw = os.fsencode(name)
    if known.pop(raw, _UNSEEN)[:2] != (None, reason):
        seen.odd[raw] = reason


def find_tops(fs: FileSystem, root: Path, known: Collection[bytes], names: Iterable[str]) -> set[bytes]:
    """The folders to look into for the sake of ``names`` (relative to the store), none of them inside another.

    Each is known already, or gives way to the nearest one above it that is and still stands there as a folder.
    """
    tops = set()
    for name in names:
        path = os.fsencode(name)
        while path and not (path in known and all(_stands(fs, root, place) for place in (path, *above_of(path)))):
            path = path.rpartition(b"/")[0]
        tops.add(path)
    return {path for path in tops if not path or not tops.intersection([*above_of(path)])}


def _stands(fs: FileSystem, root: Path, path: bytes) -> bool:
    try:
        return not path or kind_of(fs.lstat(root / os.fsdecode(path))) is Kind.FOLDER
    except OSError:
        return False


def above_of(path: bytes) -> Iterator[bytes]:
    """The folders that a path lies in, up to the store itself, which is ``b""``."""
    while path:
        path = path.rpartition(b"/")[0]
        yield path
