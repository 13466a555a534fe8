"""Paths that come out of an archive, a table or a bucket: which are refused, and what their files are named here.

No path of a source becomes a path of the store: a file goes into the folder of its class, under a name that is made
from the last part of its path.
"""

import re
import unicodedata

from astica_sync.core.gallery.safe_names import safe_file_name, title_fault

_DRIVE = re.compile(r"[A-Za-z]:")
_SUFFIX = re.compile(r"[A-Za-z0-9]{1,8}")
MOST_PATH = 4096


def plain_path(path: str) -> str:
    """The path with slashes between its parts, as archives made on Windows lack them, and without ``./``."""
    parts = path.replace("\\", "/").split("/")
    kept = [part for place, part in enumerate(parts) if part != "." and (part or place == 0)]
    return "/".join(kept)


def path_fault(path: str) -> str:
    """Why a file at this path of a source is not taken; "" where it is. ``path`` is plain."""
    parts = path.split("/")
    if not path or len(path) > MOST_PATH:
        return "its path is empty" if not path else f"its path has more than {MOST_PATH:,} characters"
    if "\0" in path:
        return "its path has a NUL character"
    if path.startswith("/") or _DRIVE.match(path):
        return "its path is absolute"
    if ".." in parts:
        return "its path leaves the folder (..)"
    if any(unicodedata.category(letter) == "Cc" for letter in path):
        return "its path has control characters"
    return ""


def target_name(given: str, kind: str | None) -> str:
    """The name of the file in the store. ``kind`` is "png" or "jpeg" where its bytes are that; the file of another
    format keeps its extension."""
    if kind is not None:
        return safe_file_name(given, "png" if kind == "png" else "jpg")
    stem, point, end = given.rpartition(".")
    if not point or not _SUFFIX.fullmatch(end):
        stem, end = given, "img"
    return safe_file_name(f"{stem}.jpg", "jpg").removesuffix("jpg") + end


def safe_folders(folders: tuple[str, ...]) -> tuple[str, ...]:
    """The folders inside a class, where all of them can be folders here; none otherwise."""
    return () if len(folders) > 16 or any(title_fault(folder) or len(folder) > 100 for folder in folders) else folders
