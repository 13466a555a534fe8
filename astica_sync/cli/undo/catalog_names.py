"""Names on the command line that mean something in the backup: the title of a class, the path of a file.

They are compared in Unicode NFC: what is typed and what a file system keeps may differ in form.
"""

import difflib
import os
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.errors import StoreError
from astica_sync.system.start_checks import current_folder

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup


_PATTERN = frozenset("*?[")
_NO_PATTERNS = (
    "Patterns with *, ? or [ are not taken, only whole names. A whole class: astica-sync backup restore --class TITLE; "
    "for the names: astica-sync backup list --json"
)


def find_title(backup: "Backup", title: str) -> str:
    """The class of the backup with this title.

    Raises:
        StoreError: the backup has no such class.
    """
    title = unicodedata.normalize("NFC", title)
    titles = {entry.class_title for entry in backup.samples()}
    if title not in titles:
        raise StoreError(f"the backup has no class {title!r}", _suggestion(title, titles))
    return title


def find_paths(backup: "Backup", root: Path, names: Sequence[str]) -> set[str]:
    """The paths of the catalog that are meant by ``names``: relative to the store, or to the current folder.

    Raises:
        StoreError: the backup has no such file.
    """
    if not names:
        return set()
    known: dict[str, set[str]] = {}
    for entry in backup.samples():
        known.setdefault(unicodedata.normalize("NFC", entry.path), set()).add(entry.path)
    found: set[str] = set()
    for name in names:
        meant = [unicodedata.normalize("NFC", path) for path in _meanings(name, root)]
        matching = next((known[path] for path in meant if path in known), None)
        if matching is None:
            raise StoreError(
                f"the backup has no file {name!r}",
                _NO_PATTERNS if _PATTERN.intersection(name) else _suggestion(meant[-1], known),
            )
        found |= matching
    return found


def _meanings(name: str, root: Path) -> list[str]:
    """What a name may be as a path in the store: seen from the current folder first."""
    path = current_folder() / name
    inside = path.parent.resolve() / path.name
    meanings = [inside.relative_to(root).as_posix()] if inside.is_relative_to(root) else []
    return [*meanings, os.path.normpath(name)]


def _suggestion(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else "List what it has: astica-sync backup list --json"
