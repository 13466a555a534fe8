"""The folder of an account: it may have come in an archive, so its database chooses no file outside of it."""

import errno
import os
import re
from pathlib import Path

from astica_sync.file_owner import believed_users, create_private, tighten

_IMAGE = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\w[\w.-]{0,199}")


class AccountPaths:
    """Makes the folder, for its user alone, or checks one that exists.

    Raises:
        OSError: the folder cannot be written, belongs to another user, or has links in it.
    """

    def __init__(self, folder: Path) -> None:
        self.database: Path = folder / "sandbox.db"
        self._images = folder / "images"
        self._versions = folder / "versions"
        _refuse_foreign(folder)
        folder.mkdir(0o700, parents=True, exist_ok=True)
        for place in (self._images, self._versions):
            place.mkdir(0o700, exist_ok=True)
            _refuse_links(place)
            _refuse_foreign(place)
            tighten(place, 0o700)
        if self.database.exists():
            _refuse_foreign(self.database)
            tighten(self.database, 0o600)

    def image(self, name: str) -> Path:
        """The file of an image, named by the hash of its bytes.

        Raises:
            OSError: the name is none that a sandbox writes.
        """
        _check(_IMAGE, name)
        return self._images / name[:2] / name

    def version(self, name: str) -> Path:
        """The file of a version.

        Raises:
            OSError: the name is none that a sandbox writes.
        """
        _check(_VERSION, name)
        return self._versions / f"{name}.npz"


def create_part(path: Path) -> tuple[Path, int]:
    """A new file that becomes ``path`` once it is complete, and its descriptor."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    return part, create_private(part)


def _check(pattern: re.Pattern[str], name: object) -> None:
    if not isinstance(name, str) or pattern.fullmatch(name) is None:
        raise OSError(
            errno.EINVAL, f"the database of the sandbox names a file that a sandbox never writes: {name!r:.80}"
        )


def _refuse_foreign(path: Path) -> None:
    """A link of the user's own to the user's own folder is followed."""
    if not os.path.lexists(path):
        return
    for status in (path.lstat(), path.stat()):
        if status.st_uid not in believed_users():
            raise OSError(errno.EPERM, f"{path} belongs to another user (user id {status.st_uid})")


def _refuse_links(folder: Path) -> None:
    if folder.is_symlink():
        raise OSError(errno.ELOOP, f"{folder} is a symbolic link, which is not followed")
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (path := Path(place, name)).is_symlink():
                raise OSError(errno.ELOOP, f"{path} is a symbolic link, which is not followed")
