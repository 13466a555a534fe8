"""One listing of one folder, compared with what the index knows of it."""

import marshal
import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

import xxhash

from astica_sync.store.disk import Disk, Entry, Kind, kind_of
from astica_sync.store.ignore import Ignore, is_hidden
from astica_sync.store.index import Folder, Known, Signature
from astica_sync.store.layout import SETTINGS_FILE, STATE_DIR
from astica_sync.store.reading import signature

_IN_ROOT = "not in a class folder; move it into one, or list it in .astica-ignore"
_BAD_TITLE = "the folder's name cannot be a class: blank, control characters or no UTF-8; rename it"
_REASONS = {
    None: "cannot be looked at; mend the folder's rights or its disk",
    Kind.SYMLINK: "symbolic link, which is not followed: put the file itself here, or list it in .astica-ignore",
    Kind.OTHER: "not a regular file; remove it, or list it in .astica-ignore",
    Kind.FILE: _IN_ROOT,
}

_UNSEEN: Known = (None, None)


@dataclass(slots=True)
class Look:
    """What one listing shows.

    ``folders`` are to be visited; ``unread`` files are new or may have changed; ``odd`` names cannot be samples, and
    the index does not say so yet; ``missing`` names were known and are not there. ``hides``: an entry may stand for
    files that were not seen; ``hidden_classes`` are those it may stand for in the store's own folder. ``nested``: this
    folder is a store itself. ``filled``: it holds a sample that needs no reading. ``files`` were looked at.
    ``seal`` says it all in a few bytes, where the index knows every file and nothing is odd.
    """

    folders: list[tuple[str, os.stat_result]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    odd: dict[bytes, str] = field(default_factory=dict)
    missing: set[bytes] = field(default_factory=set)
    hides: bool = False
    hidden_classes: set[str] = field(default_factory=set)
    nested: bool = False
    filled: bool = False
    files: int = 0
    seal: bytes | None = None


def class_title_of(name: str) -> str | None:
    """The class that a first-level folder of this name is; None where the name cannot be a class title."""
    title = unicodedata.normalize("NFC", name)
    if not title.strip() or any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in title):
        return None
    return title


def look(
    disk: Disk,
    path: str,
    folder: Folder,
    known_of: Callable[[int], dict[bytes, Known]],
    ignore: Ignore,
    *,
    forced: bool,
) -> Look:
    """Lists the folder at ``path`` and compares it with what ``known_of`` gives for its id, which is asked only when
    the folder's seal is broken. ``forced`` takes every file for unread.

    Raises:
        OSError: the folder cannot be listed to its end.
    """
    seen = Look()
    prefix = os.fsdecode(folder.path) + "/" if folder.path else ""
    files: list[tuple[str, Signature]] = []
    others: list[Entry] = []
    for entry in disk.scan_folder(path):
        name, status = entry
        if is_hidden(name):
            seen.nested = seen.nested or (name == STATE_DIR and bool(folder.path))
        elif status is not None and S_ISREG(status.st_mode) and folder.path:
            if not (ignore and ignore.skips(prefix + name, folder=False)):
                files.append((name, signature(status)))
        else:
            others.append(entry)
    sealable = all(status is not None and kind_of(status) is Kind.FOLDER for _, status in others)
    seen.files = len(files)
    seen.seal = _seal(files) if sealable and files else None
    if folder.seal is not None and folder.seal == seen.seal and not forced:
        seen.filled = folder.filled
        for entry in others:
            _look_at_odd(seen, folder, entry, {}, prefix, ignore)
        return seen
    known = known_of(folder.folder_id)
    for name, found in files:
        kept, reason = known.pop(os.fsencode(name), _UNSEEN)
        if forced or kept is None or kept != found:
            seen.unread.append(name)
        elif reason is None:
            seen.filled = True
    for entry in others:
        _look_at_odd(seen, folder, entry, known, prefix, ignore)
    seen.missing = set(known)
    if seen.unread or seen.odd or seen.missing:
        seen.seal = None
    return seen


def _seal(files: list[tuple[str, Signature]]) -> bytes:
    """Says in a few bytes what all files of a folder looked like.

    Version 2 of marshal writes equal values as equal bytes, which later ones do not, and faster than anything else.
    """
    return xxhash.xxh3_128_digest(marshal.dumps(files, 2))


def _look_at_odd(
    seen: Look, folder: Folder, entry: Entry, known: dict[bytes, Known], prefix: str, ignore: Ignore
) -> None:
    name, status = entry
    kind = None if status is None else kind_of(status)
    if ignore.skips(prefix + name, folder=kind is Kind.FOLDER):
        return
    title = class_title_of(name)
    if kind is Kind.FOLDER and status is not None:
        if folder.path or title is not None:
            seen.folders.append((name, status))
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
    if known.pop(raw, _UNSEEN) != (None, reason):
        seen.odd[raw] = reason


def find_tops(disk: Disk, root: Path, known: Collection[bytes], names: Iterable[str]) -> set[bytes]:
    """The folders to look into for the sake of ``names`` (relative to the store), none of them inside another.

    Each is known already, or gives way to the nearest one above it that is and still stands there as a folder.
    """
    tops = set()
    for name in names:
        path = os.fsencode(name)
        while path and not (path in known and all(_stands(disk, root, place) for place in (path, *above_of(path)))):
            path = path.rpartition(b"/")[0]
        tops.add(path)
    return {path for path in tops if not path or not tops.intersection([*above_of(path)])}


def _stands(disk: Disk, root: Path, path: bytes) -> bool:
    try:
        return not path or kind_of(disk.lstat(root / os.fsdecode(path))) is Kind.FOLDER
    except OSError:
        return False


def above_of(path: bytes) -> Iterator[bytes]:
    """The folders that a path lies in, up to the store itself, which is ``b""``."""
    while path:
        path = path.rpartition(b"/")[0]
        yield path
