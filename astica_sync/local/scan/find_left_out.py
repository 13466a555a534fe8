"""What a scan leaves out of the store, and why, for a user who asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from astica_sync.local.filesystem import FileSystem, Kind
from astica_sync.local.layout import IGNORE_FILE, SETTINGS_FILE, STATE_DIR
from astica_sync.local.scan.ignore import Ignore, is_hidden

_OWN = frozenset({STATE_DIR, IGNORE_FILE, SETTINGS_FILE})


class LeftOut(NamedTuple):
    """A file or folder that no scan looks at. ``path`` is relative to the store; that of a folder ends with a slash."""

    path: str
    reason: str


def find_left_out(root: Path, files: FileSystem) -> list[LeftOut]:
    """Every file and folder that is left out, sorted; what is in such a folder is not listed.

    Raises:
        StoreError: the ignore file cannot be read or is invalid.
    """
    return sorted(_walk(root, files, Ignore.load(root)))


def _walk(root: Path, files: FileSystem, ignore: Ignore) -> Iterator[LeftOut]:
    waiting = [""]
    while waiting:
        above = waiting.pop()
        try:
            entries = list(files.name_folder(root / above))
        except OSError:
            # A problem of the scan, which names it.
            continue
        for name, kind, _ in entries:
            path, is_folder = above + name, kind is Kind.FOLDER
            if not above and name in _OWN:
                continue
            reason = "hidden" if is_hidden(name) else ignore.reason(path, folder=is_folder)
            if reason is not None:
                yield LeftOut(f"{path}/" if is_folder else path, reason)
            elif is_folder:
                waiting.append(f"{path}/")
