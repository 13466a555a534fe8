"""The checks at the start of each command: what it needs of the system around it, looked at before anything is sent.

Each fault has a sentence of its own that names the variable, the file or the limit, and what to do about it.
"""

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path

from astica_sync.errors import ConfigError
from astica_sync.file_owner import make_private_folder
from astica_sync.system.error_advice import reason_of, remedy
from astica_sync.system.user_folders import STATE_VARIABLE, user_state_folder

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_WRONG_PATH = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM))
"""Errors after which another path helps."""
FEWEST_FILES = 48
"""Open files that a push needs: databases and their journals, connections, the pipes of workers, and images."""
FIRST_YEAR, LAST_YEAR = 2024, 2100


def check_start(environ: Mapping[str, str]) -> Path:
    """Checks what every command needs that sends something; returns the user's state folder.

    Raises:
        ConfigError: something is missing or wrong; nothing was sent.
    """
    check_certificates(environ)
    check_open_files()
    return writable_state_folder(environ)


def current_folder() -> Path:
    """The current folder.

    Raises:
        ConfigError: it was deleted, or cannot be looked at.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError(
            "the current folder was deleted or its disk was unmounted",
            "change to a folder that exists, for example: cd ~; or name the store with --store DIR",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the current folder cannot be read: {reason_of(error)}",
            "change to another folder, for example: cd ~; or name the store with --store DIR",
        ) from None


def writable_state_folder(environ: Mapping[str, str]) -> Path:
    """This user's state folder, made if there is none.

    Raises:
        ConfigError: there is no home, or the folder cannot be made or written.
    """
    folder = user_state_folder()
    source = STATE_VARIABLE if environ.get(STATE_VARIABLE, "").strip() else "HOME"
    try:
        make_private_folder(folder)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            os.close(os.open(folder / ".probe", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            (folder / ".probe").unlink()
    except OSError as error:
        raise ConfigError(
            f"the state folder {folder} (by {source}), where the request limit is kept, cannot be written: "
            f"{reason_of(error)}",
            f"{remedy(error, folder)}. Or set {STATE_VARIABLE} to another folder that you can write and that stays",
        ) from None
    return folder


def check_certificates(environ: Mapping[str, str]) -> None:
    """
    Raises:
        ConfigError: a variable names certificates that are not there or cannot be read.
    """
    for name in CERTIFICATES:
        given = environ.get(name, "")
        if not given:
            continue
        try:
            if name == "SSL_CERT_DIR":
                next(Path(given).iterdir(), None)
            else:
                with Path(given).open("rb") as file:
                    file.read(1)
        except OSError as error:
            kind = "folder" if name == "SSL_CERT_DIR" else "file"
            other = f"set it to the {kind} of the certificates to trust, or: unset {name}"
            raise ConfigError(
                f"{name} names {given}, which cannot be read: {reason_of(error)}",
                other if error.errno in _WRONG_PATH else f"{remedy(error, given, writing=False)}; or {other}",
            ) from None


def check_open_files() -> None:
    """
    Raises:
        ConfigError: this process may open so few files that a push would fail half-way.
    """
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return
    if 0 <= soft < FEWEST_FILES:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FEWEST_FILES, hard))
        except (OSError, ValueError):
            raise ConfigError(
                f"this process may open {soft} files, and needs {FEWEST_FILES}",
                "raise the limit: ulimit -n 1024 (in a service: LimitNOFILE=1024)",
            ) from None


def odd_clock(now: float) -> str:
    """What is wrong with the clock, for a note; "" where nothing is."""
    try:
        year = time.gmtime(now).tm_year
    except (OverflowError, ValueError, OSError):
        year = 0
    if FIRST_YEAR <= year < LAST_YEAR:
        return ""
    return (
        f"The clock of this machine says that the year is {year}: records get that date, and certificates are refused. "
        "Set it: timedatectl set-ntp true"
    )


def no_temporary_folder(error: OSError) -> ConfigError:
    """No folder for temporary files could be used."""
    given = os.environ.get("TMPDIR", "")
    return ConfigError(
        f"no folder for temporary files can be written: TMPDIR is {given or 'not set'}; {reason_of(error)}",
        "set TMPDIR to a folder that you can write and whose disk has room",
    )
