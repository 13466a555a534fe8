"""Paths of a store in the commands of hints, as the folder needs them in which the user types."""

from pathlib import Path

from astica_sync.shell_quote import quote_path


def folder_from_here(root: Path) -> str:
    """A folder, absolute and without links, as the current one reaches it: "" where it is that one, a relative path
    where it is below, else the whole path."""
    try:
        here = Path.cwd()
    except OSError:
        # It was deleted, or may not be looked at.
        return str(root)
    if root == here:
        return ""
    return str(root.relative_to(here)) if root.is_relative_to(here) else str(root)


def quote_from_here(root: Path, path: str) -> str:
    """The path of a file in the folder as one word of a command that is typed in the current folder."""
    return quote_path(str(Path(folder_from_here(root), path)))
