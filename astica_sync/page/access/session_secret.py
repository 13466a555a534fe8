"""The value of the cookie, kept for this user so that an open page goes on after a restart of the command.

It is not in the store, whose files may have come in a downloaded archive with a value that another user knows.
"""

import contextlib
import json
import re
import secrets
from pathlib import Path

from astica_sync.file_owner import make_private_folder
from astica_sync.local.filesystem import FileSystem, write_new

_FILE = "page-sessions.json"
_MOST_BYTES = 100_000
_MOST_SESSIONS = 50
_SECRET = re.compile(r"[\w-]{43}")


def session_secret(folder: Path, store: Path, port: int) -> str:
    """The value for this store and port; a new one where there is none yet. ``folder`` is the user's state folder."""
    make_private_folder(folder)
    name, file, known = f"{port} {store}", folder / _FILE, dict[str, str]()
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError), FileSystem().open_read(file) as opened:
        read = json.loads(opened.read(_MOST_BYTES))
        known = {key: value for key, value in read.items() if _SECRET.fullmatch(value)} if type(read) is dict else {}
    if name not in known:
        known = dict(list(known.items())[-_MOST_SESSIONS:])
        known[name] = secrets.token_urlsafe(32)
        write_new(file, json.dumps(known).encode())
    return known[name]
