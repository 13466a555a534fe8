"""Restoring class folders from the backup alone: byte for byte, and without overwriting any file.

The catalog may have come in a downloaded archive, so it chooses no place outside the class folders of the target, none
in a store, and nothing that no scan would take: a hidden file, or one that is not an image.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from astica_sync.core.gallery.safe_names import is_settings_name
from astica_sync.core.model import Problem
from astica_sync.errors import StorageFull, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.filesystem import FileSystem, Kind, free_space, kind_of, temp_name
from astica_sync.local.image.format import HEAD_BYTES, is_image
from astica_sync.local.layout import STATE_DIR
from astica_sync.local.target_folder import check_target_folder
from astica_sync.system.error_advice import reading_remedy, remedy


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore.

    ``written`` and ``already_there`` are counts of files; ``older`` are earlier images of a path that has had several,
    which stay in the backup; ``problems`` are files that were not restored, and why. Paths are as in the catalog.
    """

    written: int
    already_there: int
    older: tuple[CatalogEntry, ...]
    problems: tuple[Problem, ...]


def restore(
    backup: Backup,
    to: Path,
    files: FileSystem,
    *,
    wanted: Callable[[CatalogEntry], bool] = lambda _: True,
    entries: Callable[[], Iterable[CatalogEntry]] | None = None,
) -> Restored:
    """Writes the files of the backup's catalog, or of ``entries``, for which ``wanted`` is true, to the folder ``to``.

    Of several images of one path the last one is restored. Memory use is about 250 bytes per file. Whether ``to`` may
    be a store is for the caller, see ``refuse_store``; a store inside of ``to`` gets no file.

    Raises:
        StorageFull: the disk is full.
        StoreError: the target cannot be used or is another user's, the catalog cannot be read, or the backup is not
            there any more.
    """
    root, mode = _make_root(to, files)
    entries = entries or backup.samples
    last = {_key(entry): int(entry.content, 16) for entry in entries() if wanted(entry)}
    written = already_there = 0
    older: list[CatalogEntry] = []
    problems: list[Problem] = []
    for entry in entries():
        content = int(entry.content, 16)
        latest = last.get(_key(entry))
        # A finished path keeps the complement of its content, so that a repeated line is skipped.
        if latest is None or latest == ~content or not wanted(entry):
            continue
        if latest != content:
            older.append(entry)
            continue
        last[_key(entry)] = ~content
        try:
            if _restore_file(backup, root, entry, files, mode):
                written += 1
            else:
                already_there += 1
        except _NotRestored as reason:
            if not os.path.isdir(backup.root):  # noqa: PTH112 - a Path raises an error there
                # Else each image would be missing in it, as after a real loss.
                raise StoreError(
                    f"{backup.root} is not there any more; files restored before: {written:,}",
                    "check that the disk is mounted, then run the command again, which continues where it stopped",
                ) from None
            problems.append(Problem(entry.path, str(reason)))
    return Restored(written, already_there, tuple(older), tuple(problems))


def refuse_store(to: Path) -> None:
    """Refuses a target in a store: its class folders would become new samples, what was moved in its old class too.

    Raises:
        StoreError: the folder, or one above it, is a store, however its path is written.
    """
    for folder in _existing(to):
        if os.path.lexists(folder / STATE_DIR):
            raise StoreError(
                f"{to} is inside the store {folder}, and what is restored there would become new samples",
                "Name a folder outside of the store with --to.",
            )


def is_same_folder(one: Path, other: Path) -> bool:
    """Whether both are the same folder, through links and on file systems that ignore case as well."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _existing(path: Path) -> Iterator[Path]:
    """The real folder and those above it, from the first one that exists."""
    real = Path(os.path.realpath(path))
    yield from (folder for folder in (real, *real.parents) if folder.is_dir())


class _NotRestored(Exception):
    """One file was not restored; the message is the reason."""


def _make_root(to: Path, files: FileSystem) -> tuple[Path, int]:
    """The target, and the permissions of new folders in it.

    The backup does not know whether an image was private, so what is restored is for the user alone. In the store, the
    other users have what they have in its folder.
    """
    try:
        in_store = os.path.lexists(to / STATE_DIR)
        if not in_store:
            check_target_folder(to)
        files.make_folder(to, 0o700)
        root = to.resolve(strict=True)
        return root, root.stat().st_mode & 0o777 | 0o700 if in_store else 0o700
    except OSError as error:
        raise StoreError(
            f"{to} cannot be created: {error.strerror}", f"{remedy(error, to)}; or name another folder with --to"
        ) from error


def _restore_file(backup: Backup, root: Path, entry: CatalogEntry, files: FileSystem, mode: int) -> bool:
    """Whether the file was written; False when it was there already."""
    target = root.joinpath(*_safe_parts(entry))
    try:
        source = backup.find(entry.content)
        if source is None:
            raise _NotRestored("missing in the backup")
        _check_parents(target, root, files)
        with contextlib.suppress(FileNotFoundError):
            if kind_of(files.lstat(target)) is Kind.FILE and _is_same(backup, target, source):
                return False
            raise _NotRestored("another file exists at this path; it was not changed")
        if reason := backup.check(entry.content):
            raise _NotRestored(reason)
        if not is_image(_head_of(source, files)):
            raise _NotRestored("not an image")
        # Another user may exchange a folder of a shared store for a link meanwhile.
        with files.hold_folder(root, target.relative_to(root).parts[:-1], mode) as folder:
            held = folder / target.name
            temp = temp_name(held)
            files.copy_synced(source, temp, mode & 0o666)
            files.publish_new(temp, held)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"the disk is full: {free_space(files, root)} in {root}",
                f"{remedy(error, root)}; then run the command again, which continues where it stopped",
            ) from error
        if error.filename is not None and Path(os.fsdecode(error.filename)) == source:
            raise _unreadable(source, error) from error
        raise _NotRestored(f"cannot be written: {error.strerror}; {remedy(error, target)}") from error
    return True


def _head_of(source: Path, files: FileSystem) -> bytes:
    """The first bytes of an object."""
    try:
        with files.open_read(source) as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: OSError) -> _NotRestored:
    """The disk of the backup may be another one than that of the target."""
    advice = remedy(error, source, writing=False)
    return _NotRestored(f"cannot be read in the backup: {error.strerror}; {advice}")


def _is_same(backup: Backup, target: Path, source: Path) -> bool:
    """Whether the file at the target has the bytes of the object."""
    try:
        return backup.has_same_bytes(target, source)
    except FileNotFoundError:
        raise
    except OSError as error:
        remedy_text = reading_remedy(error) if error.errno == errno.EACCES else remedy(error, target, writing=False)
        raise _NotRestored(f"the file at this path cannot be read: {error.strerror}; {remedy_text}") from error


def _safe_parts(entry: CatalogEntry) -> list[str]:
    """The parts of a path inside the folder of the class and nowhere else; the catalog may have been edited."""
    parts = entry.path.split("/")
    outside = any(part in ("", ".", "..") or "\0" in part for part in parts)
    if outside or len(parts) < 2 or class_title_of(parts[0]) != entry.class_title:
        raise _NotRestored("the path in the catalog is not inside the folder of its class")
    if is_settings_name(parts[0]):
        raise _NotRestored("a folder of this name would stand in the place of the store's settings")
    if any(part.startswith(".") for part in parts):
        raise _NotRestored("a hidden file or folder is never a sample")
    return parts


def _check_parents(target: Path, root: Path, files: FileSystem) -> None:
    for parent in itertools.takewhile(lambda parent: parent != root, target.parents):
        with contextlib.suppress(FileNotFoundError):
            if kind_of(files.lstat(parent)) is not Kind.FOLDER:
                raise _NotRestored("a file exists where one of its folders must be; it was not changed")
            if os.path.lexists(parent / STATE_DIR):
                raise _NotRestored("its folder is a store")


def _key(entry: CatalogEntry) -> int:
    return xxhash.xxh3_64_intdigest(entry.path.encode("utf-8", "surrogatepass"))
