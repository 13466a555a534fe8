"""Moving one file from one folder to another, while another user may be exchanging folders and files for links.

No name is looked up twice: each folder is opened once, links not followed, and every further step goes through the open
folder. The file leaves its old place only once the new one has the expected bytes, and only if it is still that file.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import xxhash

from astica_sync.file_owner import give_to_owner_of_folder
from astica_sync.local.filesystem import CHUNK, TEMP_PREFIX, sync, write_all

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotMoved(Exception):
    """The file was not moved; the message is the reason."""


def move_file(old_root: Path, new_root: Path, path: str, content: str | None) -> bool:
    """Moves the file at ``path``, relative to both roots; False where it was moved before. Missing folders are made.

    ``content`` is the hash that the bytes must have; None where no file is expected in ``old_root`` any more. The file
    and new folders keep the permissions of what they come from, the file its time as well.

    Raises:
        NotMoved: the file is another one than expected, its path leads through a link, or it is in neither folder.
        OSError: it cannot be read or written.
    """
    *parents, name = path.split("/")
    with contextlib.ExitStack() as stack:
        try:
            if content is None or (old := _open_folder(stack, old_root, parents)) is None or not _exists(name, old):
                if (new := _open_folder(stack, new_root, parents)) is not None and _exists(name, new):
                    return False
                raise NotMoved("it is in neither folder")
            file = stack.enter_context(_open_file(name, old))
            before = os.fstat(file.fileno())
            if _hash(file) != content:
                raise NotMoved("it has changed since the store was scanned")
            new = _make_folders(stack, old_root, new_root, parents)
            if _exists(name, new):
                # A killed run copied the file and did not remove the source, or the target is another file.
                with _open_file(name, new) as there:
                    if os.path.samestat(os.fstat(there.fileno()), before):
                        raise NotMoved("both folders are the same")
                    # The hash is not cryptographic, and this copy is about to be the only one.
                    if _hash(there) != content or not _have_same_bytes(file, there):
                        raise NotMoved("a different file of that name exists")
                made = False
            else:
                made = True
                _copy(file, before, new, new_root / path, name, content)
            after = os.stat(name, dir_fd=old, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise NotMoved("its path leads through a link, or through what is no folder") from error
            raise
        if (after.st_dev, after.st_ino, after.st_mtime_ns) != (before.st_dev, before.st_ino, before.st_mtime_ns):
            if made:
                os.unlink(name, dir_fd=new)
            raise NotMoved("it was exchanged while it was copied")
        os.unlink(name, dir_fd=old)
    return True


def _open_folder(stack: contextlib.ExitStack, root: Path, parents: list[str]) -> int | None:
    """The folder below ``root``, with no link on the way; None where there is none."""
    try:
        folder = _opened(stack, os.open(root, _FOLDER))
        for parent in parents:
            folder = _opened(stack, os.open(parent, _FOLDER, dir_fd=folder))
    except FileNotFoundError:
        return None
    return folder


def _make_folders(stack: contextlib.ExitStack, old_root: Path, new_root: Path, parents: list[str]) -> int:
    """The same, made where there is none, with the permissions that the old folders have."""
    old, new = _opened(stack, os.open(old_root, _FOLDER)), _opened(stack, os.open(new_root, _FOLDER))
    place = new_root
    for parent in parents:
        place /= parent
        old = _opened(stack, os.open(parent, _FOLDER, dir_fd=old))
        made = False
        with contextlib.suppress(FileExistsError):
            os.mkdir(parent, 0o700, dir_fd=new)
            made = True
        above, new = new, _opened(stack, os.open(parent, _FOLDER, dir_fd=new))
        if made:
            give_to_owner_of_folder(new, place)
            _set_permissions(new, os.fstat(old).st_mode | stat.S_IRWXU)
            sync(above)
    return new


def _copy(file: BinaryIO, status: os.stat_result, folder: int, target: Path, name: str, content: str) -> None:
    temp = f"{TEMP_PREFIX}{os.urandom(8).hex()}"
    descriptor = os.open(temp, _NEW, 0o600, dir_fd=folder)
    try:
        with open(descriptor, "r+b", buffering=0) as copy:
            file.seek(0)
            while piece := file.read(CHUNK):
                write_all(descriptor, piece)
            give_to_owner_of_folder(descriptor, target)
            _set_permissions(descriptor, status.st_mode & 0o666 | 0o600)
            with contextlib.suppress(OSError):
                os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
            sync(descriptor)
            if _hash(copy) != content:
                raise NotMoved("it was changed while it was copied")
            _publish(temp, name, folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temp, dir_fd=folder)
    sync(folder)


def _publish(temp: str, name: str, folder: int) -> None:
    """Gives the file its name, if that is free."""
    try:
        os.link(temp, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise NotMoved("a different file of that name exists") from None
    except OSError:
        # No hard links on this file system.
        if _exists(name, folder):
            raise NotMoved("a different file of that name exists") from None
        os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)


@contextlib.contextmanager
def _open_file(name: str, folder: int) -> Iterator[BinaryIO]:
    with open(os.open(name, _READ, dir_fd=folder), "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotMoved("it is not a regular file")
        yield file


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _hash(file: BinaryIO) -> str:
    hasher = xxhash.xxh3_128()
    file.seek(0)
    while piece := file.read(CHUNK):
        hasher.update(piece)
    return hasher.hexdigest()


def _have_same_bytes(one: BinaryIO, other: BinaryIO) -> bool:
    one.seek(0)
    other.seek(0)
    with open(one.fileno(), "rb", closefd=False) as left, open(other.fileno(), "rb", closefd=False) as right:
        while (piece := left.read(CHUNK)) == right.read(CHUNK):
            if not piece:
                return True
    return False


def _opened(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _set_permissions(descriptor: int, mode: int) -> None:
    # Some file systems have none.
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, mode & 0o777)
