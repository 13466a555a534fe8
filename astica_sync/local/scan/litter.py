"""Which names are litter: what systems, NAS, browsers, editors, sync clients and cameras leave between photos.

Thumbnails and half downloads would otherwise become samples, and their folders classes. The table is also what the user
reads (docs/reference/left-out.md). Conflict copies of sync clients are not in it: each may be the only copy of an edit.
"""

import functools
import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple


class Litter(NamedTuple):
    """What one kind of program leaves. Names are compared without case; ``*`` stands for any characters."""

    who: str
    folders: tuple[str, ...]
    files: tuple[str, ...]


# A file of text beside each image and video of an export.
_TAKEOUT = ("jpg", "jpeg", "png", "heic", "heif", "webp", "gif", "tiff", "dng", "mp4", "mov")

LITTER = (
    Litter(
        "NAS systems (Synology, QNAP, NetApp) and file servers",
        (
            "@eaDir",
            "#recycle",
            "#snapshot",
            "@Recycle",
            "@Recently-Snapshot",
            "@sharebin",
            "@tmp",
            "@__thumb",
            "~snapshot",
            "Network Trash Folder",
            "Temporary Items",
            "DfsrPrivate",
            "@SynoResource",
            "@appstore",
        ),
        ("*@SynoResource", "*@SynoEAStream", "SYNOFILE_THUMB_*", "SYNOPHOTO_*"),
    ),
    Litter(
        "Windows, macOS, Linux, Android",
        ("$RECYCLE.BIN", "System Volume Information", "FOUND.[0-9][0-9][0-9]", "__MACOSX", "lost+found", "LOST.DIR"),
        (
            "Thumbs.db",
            "Thumbs.db:encryptable",
            "ehthumbs.db",
            "ehthumbs_vista.db",
            "desktop.ini",
            "Icon\r",
            "*:Zone.Identifier",
        ),
    ),
    Litter(
        "Browsers and download programs",
        ("*.download",),
        (
            "*.crdownload",
            "*.part",
            "*.partial",
            "*.filepart",
            "*.download",
            "*.opdownload",
            "*.aria2",
            "*.!ut",
            "*.!qb",
        ),
    ),
    Litter(
        "Editors and programs that keep the file of before",
        (),
        (
            "*~",
            "~$*",
            "#*#",
            "*.bak",
            "*.old",
            "*.orig",
            "*.tmp",
            "*.temp",
            "*.swp",
            "*.swo",
            "*.swn",
            "*.kate-swp",
            "*.*_original",
        ),
    ),
    Litter(
        "Photo programs",
        ("iPod Photo Cache", "*.lrdata", "*.photoslibrary", "*.photolibrary"),
        ("*.xmp", "*.aae", "*.pp3", "*.dop", "Picasa.ini", "photothumb.db", "ZbThumbnail.info"),
    ),
    Litter(
        "Google Takeout",
        (),
        # It cuts names that would be longer than 51 characters, and numbers those that it has twice.
        ("*.suppl*.json", *(f"*.{ending}{number}.json" for ending in _TAKEOUT for number in ("", "([0-9])"))),
    ),
    Litter("Sync clients", (), ("*.!sync", "*.syncpart", "*.syncold", "csync_journal.db*")),
    Litter("Cameras", ("CANONMSC", "EOSMISC", "AVF_INFO", "THMBNL"), ("*.thm", "*.ctg", "*.lrv", "*.scr")),
)

# No pattern for files but those that begin like this matches a name that ends like that, which nearly all names do.
_IMAGE_BEGIN = "SYNO"
_IMAGE_ENDS = frozenset({".jpg", ".JPG", "jpeg", "JPEG", ".png", ".PNG"})


def is_litter(name: str, *, folder: bool) -> bool:
    """Whether a folder, or a file, of this name is litter."""
    if folder:
        return _folder_pattern().fullmatch(name) is not None
    if name[-4:] in _IMAGE_ENDS and name[:4] != _IMAGE_BEGIN:
        return False
    return _file_pattern().fullmatch(name) is not None


@functools.cache
def litter_digest() -> str:
    """Identifies the table: what was scanned with another one is compared again."""
    return hashlib.blake2s(repr(LITTER).encode(), digest_size=8).hexdigest()


@functools.cache
def _folder_pattern() -> re.Pattern[str]:
    return _compile(pattern for kind in LITTER for pattern in kind.folders)


@functools.cache
def _file_pattern() -> re.Pattern[str]:
    return _compile(pattern for kind in LITTER for pattern in kind.files)


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    escaped = (re.escape(pattern).replace(r"\*", ".*").replace(r"\[0\-9\]", "[0-9]") for pattern in patterns)
    return re.compile("|".join(escaped), re.IGNORECASE | re.DOTALL)
