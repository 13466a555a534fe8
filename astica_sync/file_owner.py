"""Whose files are believed, and folders that are this user's alone.

A store that is found upwards may have been made by another user of the machine, who would then choose where the API key
goes (git's CVE-2022-24765). As in git, files of this user are believed, those of root, and under sudo(8) those of the
user who called it. ``astica-sync trust --owner`` makes exceptions.
"""

import contextlib
import os
import re
import stat
import time
from collections.abc import Collection
from pathlib import Path

from astica_sync.errors import ConfigError
from astica_sync.shell_quote import quote_path

OTHERS = 0o077
LEFT_OVER_SECONDS = 3600.0
"""No process takes so long to write one of the small files of the user's state folder."""
_LEFT_OVER = re.compile(r"\.tmp-[0-9a-f]{16}|[a-z-]+\.jsonl?\.\d+\.new")
"""The names of such a file before it has its own."""


def believed_users() -> frozenset[int]:
    """The ids of the users whose files are believed."""
    user = os.geteuid()
    users = {0, user}
    if user == 0:
        with contextlib.suppress(ValueError):
            users.add(int(os.environ.get("SUDO_UID", "")))
    return frozenset(users)


def foreign_owner(status: os.stat_result, also: Collection[int] = ()) -> int | None:
    """The owner where it is another user; None where the file is believed. ``also`` are more users to believe."""
    return None if status.st_uid in believed_users() or status.st_uid in also else status.st_uid


def name_of(user: int) -> str:
    """A user for a message: ``mallory (user id 1001)``."""
    # Imported here, since it is needed for an error alone.
    import pwd

    try:
        return f"{pwd.getpwuid(user).pw_name} (user id {user})"
    except (KeyError, OverflowError):
        return f"user id {user}"


def refuse_foreign_file(status: os.stat_result, file: Path, what: str) -> None:
    """Refuses a file of the user's own settings that another user has written, or may write.

    Raises:
        ConfigError: another user owns it, or everybody or a group of several users may write it.
    """
    owner = foreign_owner(status)
    path = quote_path(str(file))
    if owner is not None:
        raise ConfigError(
            f"{what} {file} belongs to {name_of(owner)}, who would decide where your key and images go",
            f"Read it, and if it is right make it yours: cp {path} {path}.mine && mv {path}.mine {path}",
        )
    if status.st_mode & stat.S_IWOTH:
        raise ConfigError(
            f"everybody can write {what} {file}",
            f"Run: chmod o-w {path}. Where that changes nothing, its disk keeps no permissions: move it to another "
            "disk, with XDG_STATE_HOME or XDG_CONFIG_HOME for its folder.",
        )
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status):
        raise ConfigError(
            f"the members of group {status.st_gid} can write {what} {file}",
            f"Run: chmod g-w {path}. Where that changes nothing, its disk keeps no permissions: move it to another "
            "disk, with XDG_STATE_HOME or XDG_CONFIG_HOME for its folder.",
        )


def _is_private_group(status: os.stat_result) -> bool:
    """Whether the file's group is the one that systems make for its owner alone: it is the owner's main group, has the
    owner's name, and has no other members."""
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except (KeyError, OverflowError):
        return False
    return owner.pw_gid == status.st_gid and owner.pw_name == group.gr_name and not {*group.gr_mem} - {owner.pw_name}


def make_private_folder(folder: Path) -> None:
    """Makes a folder that only this user can enter; one that exists is tightened.

    Raises:
        ConfigError: the folder is a link or belongs to another user.
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        give_to_owner_of_folder(folder, folder)
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise ConfigError(
            f"{folder} is a symbolic link, and writing through it would change other files",
            f"Remove it; a new folder is made: rm {quote_path(str(folder))}",
        )
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"{folder} is not a folder", f"Remove it: rm {quote_path(str(folder))}")
    owner = foreign_owner(status)
    if owner is not None:
        raise ConfigError(
            f"{folder} belongs to {name_of(owner)}, who would see and change what is written there",
            "Set XDG_STATE_HOME to a folder of your own, or remove that one.",
        )
    if status.st_mode & OTHERS and status.st_uid == os.geteuid():
        tighten(folder, 0o700)


def tighten(path: Path, mode: int) -> bool:
    """Takes the permissions of others away; whether that worked, which it does not where a file system has none."""
    with contextlib.suppress(OSError):
        # Linux cannot change a link itself; the callers have looked for links before.
        path.chmod(mode, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
        return not path.lstat().st_mode & OTHERS
    return False


def create_private(path: Path, flags: int = os.O_WRONLY, mode: int = 0o600) -> int:
    """Makes a new file and returns its descriptor. Under sudo(8), and wherever root works in another user's folder, it
    belongs to that user, who could not read it otherwise.

    Raises:
        OSError: it cannot be made; a ``FileExistsError`` where there is something of that name, a link for example.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    if os.geteuid() == 0:
        give_to_owner_of_folder(descriptor, path)
    return descriptor


def remove_left_over(file: Path) -> None:
    """Removes what processes that are gone have left in the folder of a file that they were to replace, as on a full
    disk; what is younger may be another process's at this moment."""
    oldest = time.time() - LEFT_OVER_SECONDS
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(file.parent)):
            with contextlib.suppress(OSError):
                if _LEFT_OVER.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()


def give_to_owner_of_folder(made: int | Path, path: Path) -> None:
    """As ``create_private`` for what was made already: a descriptor, or a folder."""
    with contextlib.suppress(OSError):
        folder = path.parent.stat()
        if os.geteuid() == 0 != folder.st_uid:
            os.chown(made, folder.st_uid, folder.st_gid)
