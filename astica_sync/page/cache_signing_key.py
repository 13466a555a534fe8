"""The key of what the page keeps in the store's folder: thumbnails and columns are trusted only if this user made them.

It is not in the store, whose files may have come in a downloaded archive with a key that another user knows.
"""

import contextlib
import json
import re
import secrets
from pathlib import Path

from astica_sync.file_owner import make_private_folder
from astica_sync.local.filesystem import FileSystem, write_new

_FILE = "page-keys.json"
_MOST_BYTES = 100_000
_MOST_KEYS = 50
_SECRET = re.compile(r"[\w-]{43}")


def cache_key(folder: Path, store: Path) -> str:
    """The key of this store; a new one where there is none yet. ``folder`` is the user's state folder."""
    make_private_folder(folder)
    name, file, known = str(store), folder / _FILE, dict[str, str]()
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError), FileSystem().open_read(file) as opened:
        read = json.loads(opened.read(_MOST_BYTES))
        known = {key: value for key, value in read.items() if _SECRET.fullmatch(value)} if type(read) is dict else {}
    if name not in known:
        known = dict(list(known.items())[-_MOST_KEYS:])
        known[name] = secrets.token_urlsafe(32)
        write_new(file, json.dumps(known).encode())
    return known[name]
