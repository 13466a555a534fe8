"""The checks of a store's hidden folder before anything in it is read or written.

It may have been made by another user of the machine, or have come in an archive. So it belongs to a user who is
believed, it has no links by which a write would change other files, and only its owner can enter it.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from astica_sync.errors import StoreError
from astica_sync.file_owner import OTHERS, foreign_owner, name_of, tighten
from astica_sync.local.layout import SETTINGS_FILE, STATE_DIR, Layout
from astica_sync.shell_quote import quote_path

LEVELS = 2
"""Every file that is written in place is no deeper. Below are the objects of the backup and the thumbnails, very many,
each made under a name that was free."""


USERS_FILES = ("overwritten", "kept", "objects")
"""The folders of whole files of the user, and of the backup: nothing in them is written in place, and a photo often has
a second name."""


class UntrustedOwner(StoreError):
    """The store belongs to another user of this machine, whom this user has not allowed."""


def check_state_folder(layout: Layout, trusted: Collection[int] = ()) -> None:
    """Refuses a store that another user made, and a hidden folder with links in it; takes permissions of others away.

    ``trusted`` are the users whom this user has allowed to own files of this store.

    Raises:
        UntrustedOwner: the store, its hidden folder or its settings belong to another user.
        StoreError: something in the hidden folder is a link, or neither a file nor a folder, or it cannot be listed.
    """
    for place, status in _places(layout):
        owner = foreign_owner(status, trusted)
        if owner is not None:
            _refuse_closed(layout)
            raise UntrustedOwner(
                f"{place} belongs to {name_of(owner)}, who could decide where your API key and images go",
                "Nothing was sent. If you trust that user, allow it once: astica-sync trust --owner --store "
                f"{quote_path(str(layout.root))}",
            )
    _refuse_links(layout.state, LEVELS)
    tighten_state_folder(layout)


def foreign_owners(layout: Layout) -> set[int]:
    """The users to whom parts of the store belong and who are not believed."""
    owners = (foreign_owner(status) for _, status in _places(layout))
    return {owner for owner in owners if owner is not None}


def tighten_state_folder(layout: Layout) -> None:
    """Makes the hidden folder private where it is not, for example one that an earlier version made. Where the file
    system has no permissions, or the folder is another user's, it stays as it is."""
    status = layout.state.lstat()
    if not status.st_mode & OTHERS or status.st_uid != os.geteuid():
        return
    # The folder first: it hides the rest. Without effect there, there is none on the rest.
    if tighten(layout.state, 0o700):
        for folder, names, files in os.walk(layout.state):
            for mode, entries in ((0o700, names), (0o600, files)):
                for name in entries:
                    _tighten_entry(Path(folder, name), mode)


def _tighten_entry(path: Path, mode: int) -> None:
    try:
        status = path.lstat()
    except OSError:
        return
    # A second name may be one outside the store.
    is_plain = stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
    if is_plain and status.st_mode & OTHERS:
        tighten(path, mode)


def _places(layout: Layout) -> Iterator[tuple[Path, os.stat_result]]:
    """What decides about the store, with its status: its folder, its settings, the hidden folder and what is in it."""
    for place in (layout.root, layout.state, layout.root / SETTINGS_FILE):
        try:
            yield place, place.lstat()
        except FileNotFoundError:
            continue
    for folder in (layout.state, layout.backup):
        for entry in _entries(folder):
            # Another process may have removed a temporary file meanwhile.
            with contextlib.suppress(FileNotFoundError):
                yield Path(entry.path), entry.stat(follow_symlinks=False)


def _refuse_links(folder: Path, levels: int, *, is_users: bool = False) -> None:
    """Refuses links in a folder and in ``levels`` of folders below it, and files with a second name, but those of the
    user where they are kept (``is_users``)."""
    if folder.is_symlink():
        raise _link(folder)
    for entry in _entries(folder):
        if entry.is_symlink():
            raise _link(Path(entry.path))
        if entry.is_dir(follow_symlinks=False):
            if levels:
                _refuse_links(Path(entry.path), levels - 1, is_users=is_users or entry.name in USERS_FILES)
            continue
        name = quote_path(entry.path)
        if not entry.is_file(follow_symlinks=False):
            raise StoreError(f"{entry.path} is neither a file nor a folder", f"Remove it: rm {name}")
        if not is_users and _has_second_name(entry):
            copy = quote_path(f"{entry.path}.copy")
            raise StoreError(
                f"{entry.path} has a second name (a hard link), and writing to it would change the other file as well",
                f"Make it a file of its own: cp -p {name} {copy} && mv {copy} {name}",
            )


def _has_second_name(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_nlink > 1
    except FileNotFoundError:
        return False


def _refuse_closed(layout: Layout) -> None:
    """
    Raises:
        StoreError: the hidden folder or the backup cannot be listed, so trust in its owner would not help.
    """
    for folder in (layout.state, layout.backup):
        next(_entries(folder), None)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing where there is none.

    Raises:
        StoreError: it cannot be listed. What is in it is unknown then, and could be written to all the same.
    """
    try:
        with os.scandir(folder) as listing:
            # Without the permission to search a folder, its entries have names and no status.
            os.lstat(f"{folder}/.")
            yield from listing
    except PermissionError as error:
        name = quote_path(str(folder))
        owner = foreign_owner(folder.stat())
        if owner is not None:
            raise _closed_folder(folder, owner) from None
        raise StoreError(
            f"{folder} cannot be listed, so what is in it cannot be checked: {error.strerror}",
            f"If the store is yours, fix the permissions: chmod u+rwx {name}",
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise


def _closed_folder(folder: Path, owner: int) -> StoreError:
    """Another user's folder that this user may not enter. To believe that owner would not help."""
    root = next((place.parent for place in (folder, *folder.parents) if place.name == STATE_DIR), folder)
    return StoreError(
        f"{folder} belongs to {name_of(owner)}, and this user cannot enter it",
        f"Only its owner or root can. Let its owner run the command, or let root give you the store: "
        f"chown -R {os.geteuid()} {quote_path(str(root))}",
    )


def _link(path: Path) -> StoreError:
    return StoreError(
        f"{path} is a symbolic link, and writing through it would change other files",
        f"Remove it if you did not make it: rm {quote_path(str(path))}",
    )
