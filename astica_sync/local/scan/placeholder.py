"""Placeholders: files that a cloud client leaves in place of one that it has moved to its server.

iCloud Drive replaces ``IMG_1.jpg`` by ``.IMG_1.jpg.icloud`` when it frees space. The image still exists, so it is not
absent (promise 3).
"""

from pathlib import Path

from astica_sync.local.filesystem import FileSystem


def find_placeholder(fs: FileSystem, root: Path, path: str) -> str | None:
    """The path, relative to the store, of the placeholder of the file at ``path``; None without one.

    Raises:
        OSError: the folder cannot be read, so it is unknown.
    """
    folder, _, name = path.rpartition("/")
    placeholder = f"{folder}/.{name}.icloud" if folder else f".{name}.icloud"
    try:
        fs.lstat(root / placeholder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return placeholder
