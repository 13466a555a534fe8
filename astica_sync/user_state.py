"""The folder in which this user's processes keep what they share, outside of any store."""

from pathlib import Path


def user_state_folder() -> Path:
    """On Linux ``~/.local/state/astica-sync``, or in ``XDG_STATE_HOME``; it may not exist."""
    # Imported here, since some commands need no such folder.
    from platformdirs import user_state_path

    return user_state_path("astica-sync")
