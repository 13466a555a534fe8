"""The folders of the store, each opened once for one change, with no symbolic link on the way.

Another program may exchange a folder for a link while the page moves files; what goes through an open folder stays in
the folder that was looked at.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import xxhash

from astica_sync.core.gallery.safe_names import is_sample_path
from astica_sync.local.filesystem import CHUNK, sync
from astica_sync.system.exclusive_rename import rename_new
from astica_sync.system.open_below import open_folder

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_OPEN = 200


class NotDone(Exception):
    """A file was left as it is; the message is the reason."""


class HeldFolders:
    """The open folders of one change; a context manager."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, int] = {}
        self._changed: set[str] = set()

    def __enter__(self) -> Self:
        self._open[""] = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def folder(self, path: str) -> int:
        """The open folder at a path relative to the store.

        Raises:
            OSError: it cannot be opened.
        """
        if path in self._open:
            return self._open[path]
        above, _, name = path.rpartition("/")
        descriptor = open_folder(self.folder(above), name)
        self._open[path] = descriptor
        return descriptor

    def make(self, path: str) -> list[str]:
        """Makes a folder and those above it that are missing; returns what was made, the outermost first."""
        with contextlib.suppress(FileNotFoundError):
            self.folder(path)
            return []
        above, _, name = path.rpartition("/")
        made = self.make(above) if above else []
        holder = self.folder(above)
        mode = os.fstat(holder).st_mode & 0o777 | stat.S_IRWXU
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=holder)
            made.append(path)
            if os.geteuid() == 0:
                owner = os.fstat(holder)
                os.chown(name, owner.st_uid, owner.st_gid, dir_fd=holder, follow_symlinks=False)
        self.folder(path)
        self.note_changed(above)
        return made

    def drop(self, path: str) -> bool:
        """Removes a folder that is empty; whether it was."""
        above, _, name = path.rpartition("/")
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)
        try:
            os.rmdir(name, dir_fd=self.folder(above))
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        self.note_changed(above)
        return True

    def forget(self, path: str) -> None:
        """The folder at this path, or below it, is another one from now on."""
        for known in [one for one in self._open if one == path or one.startswith(f"{path}/")]:
            os.close(self._open.pop(known))

    def place(self, path: str) -> tuple[int, str]:
        """The open folder of a file, and its name in it.

        Raises:
            NotDone: it is no place for an image.
            OSError: its folder cannot be opened.
        """
        if not is_sample_path(path):
            raise NotDone("it is not the path of an image")
        above, _, name = path.rpartition("/")
        try:
            return self.folder(above), name
        except FileNotFoundError:
            raise NotDone("its folder is gone") from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise NotDone("its path leads through a link, or through what is no folder") from None
            raise

    def note_changed(self, path: str) -> None:
        self._changed.add(path)

    def sync(self) -> None:
        """Makes the names in all changed folders durable."""
        for path in self._changed:
            # A folder that was removed meanwhile has no names.
            with contextlib.suppress(FileNotFoundError), contextlib.suppress(OSError):
                sync(self.folder(path))
        self._changed.clear()

    @property
    def changed(self) -> frozenset[str]:
        """The folders in which something was changed since the last ``sync``."""
        return frozenset(self._changed)

    def trim(self) -> None:
        """Closes most folders where very many are open. Between two steps alone: descriptors may be in use in one."""
        if len(self._open) > _MOST_OPEN:
            for path in list(self._open)[1:]:
                os.close(self._open.pop(path))


def hash_at(folder: int, name: str) -> tuple[str, os.stat_result]:
    """The hash of a regular file, and its status after it was read.

    Raises:
        NotDone: it is gone, or no regular file.
        OSError: it cannot be read.
    """
    with open_regular(folder, name) as descriptor:
        hasher = xxhash.xxh3_128()
        while piece := os.read(descriptor, CHUNK):
            hasher.update(piece)
        return hasher.hexdigest(), os.fstat(descriptor)


def move_same(source: tuple[int, str], target: tuple[int, str], status: os.stat_result) -> os.stat_result:
    """Moves a file from an open folder and name to another one, as long as it is the one with ``status``; nothing is
    overwritten. Returns its status in the new place.

    Raises:
        FileExistsError: there is a file in the new place.
        NotDone: another program exchanged it since; the file that was moved is back in its place.
        OSError: it cannot be moved.
    """
    (folder, name), (above, wanted) = source, target
    rename_new(name, folder, wanted, above)
    moved = os.stat(wanted, dir_fd=above, follow_symlinks=False)
    if (moved.st_ino, moved.st_size, moved.st_mtime_ns) != (status.st_ino, status.st_size, status.st_mtime_ns):
        with contextlib.suppress(OSError):
            rename_new(wanted, above, name, folder)
        raise NotDone("another program exchanged it just now")
    return moved


def have_same_bytes(one: int, other: int) -> bool:
    """Whether two open files have the same bytes; both are read from where they are."""
    with open(one, "rb", closefd=False) as left, open(other, "rb", closefd=False) as right:
        while (piece := left.read(CHUNK)) == right.read(CHUNK):
            if not piece:
                return True
    return False


@contextlib.contextmanager
def open_regular(folder: int, name: str) -> Iterator[int]:
    """Opens a regular file to read it; a link is not followed.

    Raises:
        NotDone: it is gone, or no regular file.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        raise NotDone("it is gone") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise NotDone("a link is in its place, which is not followed") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotDone("it is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)
