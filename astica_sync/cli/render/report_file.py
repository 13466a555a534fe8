"""Writes a report of one HTML file."""

from pathlib import Path

from astica_sync.errors import AsticaSyncError


def write_report(file: Path, html: str) -> None:
    """Writes the report for its user alone.

    Raises:
        AsticaSyncError: it cannot be written.
    """
    from astica_sync.local.target_folder import write_user_file

    try:
        write_user_file(file, html.encode("utf-8", "backslashreplace"), 0o600)
    except OSError as error:
        raise AsticaSyncError(
            f"cannot write {file}: {error.strerror}", "Write the report to another file: --html FILE"
        ) from error
