"""Opens files and folders below a root, with no symbolic link on the way, while another user may be exchanging folders
for links.

``O_NOFOLLOW`` is about the last part of a path only. Here each folder is opened from the one above it.
"""

import errno
import fcntl
import os
import stat

# O_PATH: a folder that may be entered need not be listed.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# macOS: the path of an open file.
_GETPATH: int | None = getattr(fcntl, "F_GETPATH", None)
_MOST_PATH = 1024


def open_below(root: str, path: str, flags: int, mode: int = 0o600) -> int:
    """Opens ``path``, relative to ``root``; the root itself may be reached through links.

    Raises:
        OSError: it cannot be opened; ``ELOOP`` where a part of it is a link.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    *parents, name = path.split("/")
    try:
        for parent in parents:
            above, folder = folder, _step(folder, parent, _FOLDER)
            os.close(above)
        return _step(folder, name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    finally:
        os.close(folder)


def open_folder(folder: int, name: str) -> int:
    """Opens a folder in an open one.

    Raises:
        OSError: it cannot be opened; ``ELOOP`` where it is a link.
    """
    return _step(folder, name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def is_opened_at(descriptor: int, path: str) -> bool:
    """Whether the open file or folder has this absolute path, which has no links, right now. False as well where the
    system does not tell: ``open_below`` finds out."""
    try:
        if _GETPATH is None:
            return os.readlink(f"/proc/self/fd/{descriptor}") == path  # noqa: PTH115 - cheaper
        return os.fsdecode(fcntl.fcntl(descriptor, _GETPATH, bytes(_MOST_PATH)).rstrip(b"\0")) == path
    except (OSError, ValueError):
        return False


def link_refused(path: str) -> OSError:
    return OSError(errno.ELOOP, "symbolic link, not followed", path)


def _step(folder: int, name: str, flags: int, mode: int = 0o600) -> int:
    try:
        return os.open(name, flags, mode, dir_fd=folder)
    except OSError as error:
        # Linux says ENOTDIR, macOS and FreeBSD say ELOOP or EMLINK.
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK) and _is_link(folder, name):
            raise link_refused(name) from error
        raise


def _is_link(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
