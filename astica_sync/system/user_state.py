"""The folder in which this user's processes keep what they share, outside of any store, and the home it is in."""

import os
from pathlib import Path

from astica_sync.errors import ConfigError

STATE_VARIABLE = "XDG_STATE_HOME"


def user_state_folder() -> Path:
    """On Linux ``~/.local/state/astica-sync``, or in ``XDG_STATE_HOME``; it may not exist.

    Raises:
        ConfigError: there is no home folder.
    """
    require_home(STATE_VARIABLE)
    # Imported here, since some commands need no such folder.
    from platformdirs import user_state_path

    return user_state_path("astica-sync")


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
    return ConfigError(
        f"this user has no home folder: {what}",
        "set HOME to a folder that you can write and that stays, in a container one on a volume; or set both "
        "XDG_STATE_HOME and XDG_CONFIG_HOME",
    )
