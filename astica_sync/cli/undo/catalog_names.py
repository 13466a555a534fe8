"""Names on the command line that mean something in the backup: the title of a class, the path of a file.

They are compared in Unicode NFC: what is typed and what a file system keeps may differ in form. A name with bytes or
characters that are printed as escapes may be typed as it is printed.
"""

import contextlib
import difflib
import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.cli.render.text import json_name, safe
from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.layout import Layout
from astica_sync.shell_quote import quote_path
from astica_sync.system.start_checks import current_folder

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup


_PATTERN = frozenset("*?[")
_NO_PATTERNS = (
    "Patterns with *, ? or [ are not taken, only whole names. A whole class: astica-sync backup restore --class TITLE; "
    "for the names: astica-sync backup list --json"
)
_LIST = "List what it has, under the names of the uploads: astica-sync backup list --json"


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
    printed = _printed_forms(known)
    found: set[str] = set()
    for name in names:
        meant = [unicodedata.normalize("NFC", path) for path in _meanings(name, root)]
        matching = next((paths[path] for path in meant for paths in (known, printed) if path in paths), None)
        if matching is None:
            if _PATTERN.intersection(name):
                hint = _NO_PATTERNS
            else:
                hint = _uploaded_as(backup, root, name) or _suggestion(meant[-1], known)
            raise StoreError(f"the backup has no file '{safe(name)}'", hint)
        found |= matching
    return found


def _uploaded_as(backup: "Backup", root: Path, name: str) -> str:
    """The hint for a file that was renamed within its class after its upload, as long as the index has its new name."""
    from astica_sync.local.class_folders.class_title import class_title_of
    from astica_sync.local.db.index import Index

    index_db = Layout(root).index_db
    if not index_db.exists():
        return ""
    with contextlib.suppress(AsticaSyncError), contextlib.closing(Index(index_db)) as index:
        for path in _meanings(name, root):
            content, _ = index.file_at(path) or (None, None)
            title = class_title_of(path.partition("/")[0])
            for entry in backup.entries_of({content}).get(content, []) if content else []:
                if entry.class_title == title:
                    return (
                        f"It was uploaded as '{safe(entry.path)}': astica-sync backup restore {quote_path(entry.path)}"
                    )
    return ""


def _printed_forms(known: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same paths as they are printed: as text, as JSON, and with the escapes that Python has for bytes."""
    printed: dict[str, set[str]] = {}
    for name, paths in known.items():
        for form in (safe(name), json_name(name), name.encode("utf-8", "backslashreplace").decode("utf-8")):
            if form != name:
                printed.setdefault(form, set()).update(paths)
    return printed


def _meanings(name: str, root: Path) -> list[str]:
    """What a name may be as a path in the store: seen from the current folder first."""
    path = current_folder() / name
    inside = path.parent.resolve() / path.name
    meanings = [inside.relative_to(root).as_posix()] if inside.is_relative_to(root) else []
    return [*meanings, os.path.normpath(name)]


def _suggestion(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(safe(name), map(safe, known), n=1)
    return f"Did you mean '{near[0]}'?" if near else _LIST
