"""The folder in which this user's processes keep what they share, outside of any store, and the home it is in."""

import os
from collections.abc import Callable
from pathlib import Path

from astica_sync.errors import ConfigError

STATE_VARIABLE = "XDG_STATE_HOME"
CONFIG_VARIABLE = "XDG_CONFIG_HOME"


def user_state_folder() -> Path:
    """On Linux ``~/.local/state/astica-sync``, or in ``XDG_STATE_HOME``; it may not exist.

    Raises:
        ConfigError: there is no home folder.
    """
    # Imported here, since some commands need no such folder.
    from platformdirs import user_state_path

    return user_folder(STATE_VARIABLE, user_state_path)


def user_folder(variable: str, find: Callable[[str], Path]) -> Path:
    """This user's folder of the program as ``find`` names it, which reads ``variable``.

    Raises:
        ConfigError: there is no home folder, or the variable has no path from the root. Some versions of platformdirs
            take such a path as it is, so a downloaded folder could have settings of the user in it.
    """
    require_home(variable)
    folder = find("astica-sync")
    if not folder.is_absolute():
        raise _no_home(f"{variable} is {os.environ.get(variable)!r}, which is no path from the root")
    return folder


def require_home(variable: str) -> None:
    """Checks that a folder of this user can be named: by ``variable``, by ``HOME``, or by the user's entry.

    Raises:
        ConfigError: none of them names one. A path that is not from the root would be another folder in each folder.
    """
    if os.environ.get(variable, "").strip().startswith("/"):
        return
    home = os.environ.get("HOME")
    if home:
        if not home.startswith("/"):
            raise _no_home(f"HOME is {home!r}, which is no path from the root")
        return
    # Imported here, since nearly every user has a HOME.
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise _no_home(f"HOME is not set, and user id {os.getuid()} has no entry in /etc/passwd") from None


def _no_home(what: str) -> ConfigError:
    set_now = [name for name in (STATE_VARIABLE, CONFIG_VARIABLE) if os.environ.get(name, "").strip().startswith("/")]
    other = CONFIG_VARIABLE if STATE_VARIABLE in set_now else STATE_VARIABLE
    instead = f"{other}, as {set_now[0]} is set" if set_now else f"both {STATE_VARIABLE} and {CONFIG_VARIABLE}"
    return ConfigError(
        f"this user has no home folder: {what}",
        f"set HOME to a folder that you can write and that stays, in a container one on a volume; or set {instead}",
    )
