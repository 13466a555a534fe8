"""Whether a folder may be written to: a new one, or one of the user's own.

Another user who owns the folder, or has put a link in its place, would see private images and choose where they go.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

from astica_sync.errors import StoreError
from astica_sync.file_owner import foreign_owner, name_of
from astica_sync.local.filesystem import FileSystem
from astica_sync.shell_quote import quote_path

MOST_BYTES = 1 << 28
"""More than the paths of a million files need; a sparse file may have any length."""


def check_target_folder(to: Path, *, chosen: bool = True) -> None:
    """Refuses a target that exists and is another user's, and a link that another user made. ``chosen`` is False for a
    folder that the user has not named, where no link is followed at all.

    Raises:
        StoreError: with what to do.
    """
    try:
        status = to.lstat()
        is_link = stat.S_ISLNK(status.st_mode)
        owner = foreign_owner(status)
        if is_link and owner is None and chosen:
            owner = foreign_owner(to.stat())
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{to} cannot be used: {error.strerror}", "Name another folder with --to.") from error
    if is_link and not chosen:
        raise StoreError(
            f"{to} is a symbolic link, which is not followed",
            f"Name the folder: --to {quote_path(os.path.realpath(to))}",
        )
    if owner is not None:
        raise StoreError(
            f"{to} belongs to {name_of(owner)}, who would see and change what is written there",
            "Name a new folder, or one of your own, with --to.",
        )


def read_own_file(file: Path) -> bytes:
    """A file that a former run wrote to such a folder; a link is not followed.

    Raises:
        StoreError: it is another user's.
        OSError: it cannot be read.
    """
    with FileSystem().open_read(file) as opened:
        owner = foreign_owner(os.fstat(opened.fileno()))
        if owner is not None:
            raise StoreError(
                f"{file} belongs to {name_of(owner)}, who would decide which files are moved",
                "Name another folder with --to.",
            )
        data = opened.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise OSError(errno.EFBIG, "the file is too long", str(file))
        return data


def write_user_file(file: Path, data: bytes, mode: int = 0o666) -> None:
    """Writes a file that the user has named, or that another program looks for: a link of that name is replaced, and
    what is neither a file nor a link is not touched. ``mode`` is what the umask is taken from.

    Raises:
        OSError: it cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        # A device or a pipe would be replaced as well, by way of a link such as /dev/stdout too.
        for status in (file.lstat(), file.stat()):
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                raise OSError(errno.EINVAL, "not a regular file", str(file))
    FileSystem().write_synced(file, [data], mode)
