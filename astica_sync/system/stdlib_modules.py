"""The modules of Python itself that a Python may lack: those of other systems, and those of libraries it was built
without. The extras of this program cannot bring them, and to install it again does not help."""

import importlib.util
import sys

from astica_sync.errors import ConfigError

NEEDED = ("fcntl", "_sqlite3", "_ssl")
"""What nearly every command needs."""
UNIX = ("fcntl", "grp", "pwd", "resource", "termios")
"""On Linux and macOS alone."""
LIBRARIES = {
    "_sqlite3": ("SQLite", "libsqlite3-dev", "sqlite-devel"),
    "_ssl": ("OpenSSL", "libssl-dev", "openssl-devel"),
    "_ctypes": ("libffi", "libffi-dev", "libffi-devel"),
    "_bz2": ("bzip2", "libbz2-dev", "bzip2-devel"),
    "_lzma": ("xz", "liblzma-dev", "xz-devel"),
    "zlib": ("zlib", "zlib1g-dev", "zlib-devel"),
}
"""For each module its library, and the package that has the headers of it on Debian and on Fedora."""


def check_python() -> None:
    """
    Raises:
        ConfigError: this Python lacks a module that nearly every command needs.
    """
    for name in NEEDED:
        try:
            is_there = importlib.util.find_spec(name) is not None
        except ImportError:
            is_there = False
        if not is_there:
            raise lacks_module(name, f"No module named {name!r}")


def missing_module(error: ImportError) -> ConfigError | None:
    """The error to show where a module of Python itself cannot be loaded; None where it is one of another package."""
    name = error.name or ""
    return lacks_module(name, str(error)) if name.partition(".")[0] in sys.stdlib_module_names else None


def lacks_module(name: str, reason: str) -> ConfigError:
    """A module of Python is not there, or cannot be loaded for ``reason``."""
    if name in UNIX:
        return ConfigError(
            f"this Python has no module {name}, which is on Linux and macOS alone",
            "On Windows, run it in WSL: wsl --install makes a Linux distribution, in which you install astica-sync and "
            "its Python",
        )
    if name in LIBRARIES:
        library, debian, fedora = LIBRARIES[name]
        return ConfigError(
            f"this Python was built without {library}: {reason}",
            "Install astica-sync with another Python (uv tool install --python 3.13 brings one). Or install the "
            f"library (apt install {debian}; dnf install {fedora}) and build this Python again",
        )
    return ConfigError(
        f"a module of Python itself cannot be loaded: {reason}",
        "Install Python again, all of its packages (on Debian and Ubuntu: python3-full), or install astica-sync with "
        "another one: uv tool install --python 3.13 brings one",
    )
