"""Seeded bugs in what is on the disk: the store's folder, the scan, the index and the backup."""

from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from astica_sync.errors import StoreError
from astica_sync.local.store_sentinel import read_sentinel
from tests.simulation.mutants.seams import mutant, nothing, replace, within, wrap

IDENTITY = "astica_sync.local.store_sentinel:"
INDEX = "astica_sync.local.db.index:Index."
DIFF = "astica_sync.local.scan.changed_files:"
RECHECK = "astica_sync.local.scan.recheck_absence:"
PLACEHOLDER = "astica_sync.local.scan.placeholder:"
OBJECTS = "astica_sync.local.backup.object_store:ObjectStore."
FILES = "tests.simulation.filesystem:SimFileSystem."
VOLUME = "tests.simulation.filesystem:SimVolume."


def of_any_inode(original: Any, scope: Any, layout: Any, files: Any = None) -> Any:
    sentinel, data = original(layout, files)
    return changed(sentinel, inode=files.lstat(layout.root).st_ino), data


def missing_if_unreadable(original: Any, scope: Any, self: Any, path: Any) -> Any:
    try:
        return original(self, path)
    except OSError:
        raise FileNotFoundError(path) from None


def none_if_unreadable(original: Any, fs: Any, root: Path, path: str) -> Any:
    try:
        return original(fs, root, path)
    except OSError:
        return None


def known_by_any_times(original: Any, self: Any, folder_id: int, *args: Any) -> Any:
    query = "SELECT name, size, mtime_ns, ctime_ns, inode FROM file WHERE folder_id = ?"
    stored = {row[0]: tuple(row[1:]) for row in self._rows(query, (folder_id,))}
    return {name: (stored[name], *known[1:]) for name, known in original(self, folder_id, *args).items()}


class SizeOnly(tuple[int, ...]):
    """A signature that equals any of the same size."""

    __slots__ = ()
    __hash__ = tuple.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and self[0] == other[0]

    def __ne__(self, other: object) -> bool:
        return not self == other


def known_by_size(original: Any, *args: Any) -> Any:
    known = known_by_any_times(original, *args)
    return {name: (SizeOnly(signature), *rest) for name, (signature, *rest) in known.items()}


def digests_unchanged(original: Any, scope: Any, digests: Any, numbers: Any) -> Any:
    return original(digests, set())


def hashed_as_named(original: Any, scope: Any, self: Any, path: Any) -> Any:
    return scope["content"]


def read_as_it_is(self: Any, content: str) -> bytes:
    with self._files.open_read(self.located(content)[0]) as file:
        return b"".join(self._files.chunks(file))


def good_if_there(self: Any, content: str) -> str | None:
    return None if self.find(content) is not None else "missing in the backup"


def stopped_by_rot(original: Any, self: Any, existing: Path, source: Path, content: str) -> bool:
    if self.check(content) is not None:
        raise StoreError("rotten")
    found: bool = original(self, existing, source, content)
    return found


ANY_FOLDER_IS_THE_STORE = within(IDENTITY + "check_root", IDENTITY + "_read_sentinel", of_any_inode)

LOCAL_MUTANTS = (
    mutant(
        "another folder in the store's place is the store",
        ANY_FOLDER_IS_THE_STORE,
    ),
    mutant("the root is not looked at", replace(IDENTITY + "check_root", read_sentinel)),
    mutant(
        "inodes count where the file system makes them up",
        replace(FILES + "keeps_inodes", lambda self, path: True),
    ),
    mutant(
        "the second look reads nothing",
        replace(RECHECK + "_is_gone", lambda layout, index, files, path, replaced_by: True),
    ),
    mutant(
        "what cannot be read is absent",
        replace("astica_sync.core.model:Unreadable.covers", lambda self, class_title: False),
        within(RECHECK + "_is_gone", FILES + "lstat", missing_if_unreadable),
        wrap(PLACEHOLDER + "find_placeholder", none_if_unreadable),
    ),
    mutant(
        "an unreadable folder is an empty one",
        replace("astica_sync.local.scan.scanner:Scanner._hold", lambda self, folder: None),
    ),
    mutant(
        "a placeholder stands for nothing",
        replace(PLACEHOLDER + "find_placeholder", lambda fs, root, path: None),
    ),
    mutant("equal times prove an equal file", wrap(INDEX + "known", known_by_any_times)),
    mutant("every index is believed but for its size", wrap(INDEX + "known", known_by_size), quick=300),
    mutant(
        "a folder is sealed although a file in it may still change",
        within(DIFF + "diff_directory", "astica_sync.local.scan.directory_digest:invalidate", digests_unchanged),
    ),
    mutant(
        "a file is not synced",
        within(FILES + "_sync_file", VOLUME + "sync", lambda original, scope, self, node: None),
        quick=50,
    ),
    mutant(
        "a folder is not synced",
        within(FILES + "sync_folder", VOLUME + "sync", lambda original, scope, self, node: None),
        quick=50,
    ),
    mutant("names that a killed run left are not synced", replace(OBJECTS + "_sync_names", nothing)),
    mutant(
        "a copy is not compared with what was scanned", within(OBJECTS + "_write", OBJECTS + "_hash", hashed_as_named)
    ),
    mutant(
        "an object is read without a proof",
        replace(OBJECTS + "read", read_as_it_is),
        replace(OBJECTS + "_confirm", lambda self, existing, source, content: self.secure(content)),
    ),
    mutant("an object that stands is good", replace(OBJECTS + "check", good_if_there)),
    mutant("a rotten object is never healed", wrap(OBJECTS + "_confirm", stopped_by_rot)),
    mutant(
        "the writer lock is left out", replace("tests.simulation.machine:Store.is_busy", lambda self: False), quick=1500
    ),
)
