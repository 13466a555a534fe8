"""Placeholders: files that a cloud client leaves in place of one that it has moved to its server.

iCloud Drive replaces ``IMG_1.jpg`` by ``.IMG_1.jpg.icloud`` when it frees space; Nextcloud and ownCloud replace it by
``IMG_1.jpg.nextcloud`` and ``IMG_1.jpg.owncloud`` where the system has no virtual files; Resilio Sync by
``IMG_1.jpg.rsls`` (its business edition by ``IMG_1.jpg.rsl~``), and odrive by ``IMG_1.jpg.cloud``. The image still
exists, so it is not absent (promise 3).
"""

from pathlib import Path

from astica_sync.local.filesystem import FileSystem

_HIDDEN = ".icloud"
_ENDINGS = (".nextcloud", ".owncloud", ".rsls", ".rsl~", ".cloud")
PLACEHOLDER_ENDINGS = (_HIDDEN, *_ENDINGS)
"""How the name of each placeholder ends."""


def find_placeholder(fs: FileSystem, root: Path, path: str) -> str | None:
    """The path, relative to the store, of the placeholder of the file at ``path``; None without one.

    Raises:
        OSError: the folder cannot be read, so it is unknown.
    """
    above, slash, name = path.rpartition("/")
    for placeholder in (f".{name}{_HIDDEN}", *(f"{name}{ending}" for ending in _ENDINGS)):
        try:
            fs.lstat(root / f"{above}{slash}{placeholder}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        return f"{above}{slash}{placeholder}"
    return None
