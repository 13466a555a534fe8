"""Packages that an extra installs, and the versions of packages."""

from astica_sync.errors import ConfigError


def require(package: str, extra: str) -> None:
    """Checks that an optional package is installed.

    Raises:
        ConfigError: it is not installed; the hint is the command that installs it.
    """
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ConfigError(f"this needs {package}, which is not installed", f"Run: pip install 'astica-sync[{extra}]'")


def version_of(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
