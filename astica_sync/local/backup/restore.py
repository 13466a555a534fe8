"""Getting class folders back from the backup alone: byte for byte, and nothing that stands is ever overwritten."""

import contextlib
import errno
import itertools
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import xxhash

from astica_sync.core.model import Problem
from astica_sync.errors import StorageFull, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import Entry
from astica_sync.local.filesystem import FileSystem, Kind, kind_of, temp_beside
from astica_sync.local.layout import STATE_DIR


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of the files the catalog names.

    ``written`` and ``already_there`` are counts of files; ``older`` are former images of a path that has had several,
    which stay in the backup; ``problems`` are files that were not restored, and why. Paths are as in the catalog.
    """

    written: int
    already_there: int
    older: tuple[Entry, ...]
    problems: tuple[Problem, ...]


def restore(
    backup: Backup,
    to: Path,
    fs: FileSystem,
    *,
    wanted: Callable[[Entry], bool] = lambda _: True,
    entries: Callable[[], Iterable[Entry]] | None = None,
) -> Restored:
    """Writes the files that the backup's catalog names, or those of ``entries``, under the folder ``to``, where
    ``wanted`` says so.

    Where one path has had several images, the last one is meant. Memory is about 250 bytes per file.

    Raises:
        StorageFull: the disk is full.
        StoreError: the target cannot be used, or the catalog cannot be read.
    """
    root = _make_root(to, fs)
    entries = entries or backup.samples
    last = {_key(entry): int(entry.content, 16) for entry in entries() if wanted(entry)}
    written = already_there = 0
    older: list[Entry] = []
    problems: list[Problem] = []
    for entry in entries():
        content = int(entry.content, 16)
        meant = last.get(_key(entry))
        # A path that was dealt with keeps the complement of its content, so that a repeated line is passed over.
        if meant is None or meant == ~content or not wanted(entry):
            continue
        if meant != content:
            older.append(entry)
            continue
        last[_key(entry)] = ~content
        try:
            if _restore_file(backup, root, entry, fs):
                written += 1
            else:
                already_there += 1
        except _NotRestored as reason:
            problems.append(Problem(entry.path, str(reason)))
    return Restored(written, already_there, tuple(older), tuple(problems))


class _NotRestored(Exception):
    """One file was not restored; the text says why."""


def _make_root(to: Path, fs: FileSystem) -> Path:
    try:
        fs.make_folder(to)
        return to.resolve(strict=True)
    except OSError as error:
        raise StoreError(f"{to} cannot be made: {error.strerror}", "name another folder with --to") from error


def _restore_file(backup: Backup, root: Path, entry: Entry, fs: FileSystem) -> bool:
    """Whether the file was written; False when it was there already."""
    target = root.joinpath(*_safe_parts(entry))
    try:
        source = backup.find(entry.content)
        if source is None:
            raise _NotRestored("missing in the backup")
        _look_at_parents(target, root, fs)
        with contextlib.suppress(FileNotFoundError):
            if kind_of(fs.lstat(target)) is Kind.FILE and backup.is_same(target, source):
                return False
            raise _NotRestored("something else stands there, and was left as it is")
        if reason := backup.check(entry.content):
            raise _NotRestored(reason)
        fs.make_folder(target.parent)
        temp = temp_beside(target)
        fs.copy_synced(source, temp)
        fs.publish_new(temp, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"the disk is full: {fs.free_bytes(root) / 1e6:.1f} MB free in {root}",
                "free some space, then run the command again; it goes on where it stopped",
            ) from error
        raise _NotRestored(f"cannot be written: {error.strerror}") from error
    return True


def _safe_parts(entry: Entry) -> list[str]:
    """The parts of a path that leads into the class's folder and nowhere else; the catalog may have been edited."""
    parts = entry.path.split("/")
    outside = any(part in ("", ".", "..", STATE_DIR) or "\0" in part for part in parts)
    if outside or len(parts) < 2 or unicodedata.normalize("NFC", parts[0]) != entry.class_title:
        raise _NotRestored("the catalog names a place that is not inside the folder of its class")
    return parts


def _look_at_parents(target: Path, root: Path, fs: FileSystem) -> None:
    for parent in itertools.takewhile(lambda parent: parent != root, target.parents):
        with contextlib.suppress(FileNotFoundError):
            if kind_of(fs.lstat(parent)) is not Kind.FOLDER:
                raise _NotRestored("something that is no folder stands in its way, and was left as it is")


def _key(entry: Entry) -> int:
    return xxhash.xxh3_64_intdigest(entry.path.encode("utf-8", "surrogatepass"))
