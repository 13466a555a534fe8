"""The errors with which the last commands of this user ended, for a bug report: one line of JSON each, in the state
folder. Of a message only what is written in the code of the program is in it: no argument, setting, name or path."""

import contextlib
import json
import os
import traceback
from pathlib import Path
from typing import Any

from astica_sync.errors import AsticaSyncError, kind_of
from astica_sync.file_owner import create_private, remove_left_over
from astica_sync.system.redact_message import PACKAGE, message_template
from astica_sync.system.user_folders import user_state_folder

FILE_NAME = "errors.jsonl"
MOST_KEPT = 50
MOST_BYTES = 1_000_000
MOST_TEXT = 1_000
MOST_FRAMES = 20


def record_error(error: BaseException, command: str, at: float, version: str) -> None:
    """Adds an error that ended ``command``. One that cannot be written, as before the first use of the service has made
    the folder, is left out: the command has its own error to show."""
    with contextlib.suppress(Exception):
        file = user_state_folder() / FILE_NAME
        line = {
            "at": round(at, 1),
            "version": version,
            "command": command,
            "error": kind_of(error),
            "template": _template(error)[:MOST_TEXT],
            "where": _frames(error),
        }
        kept = [*read_errors(file.parent), line][-MOST_KEPT:]
        new = file.with_name(f"{FILE_NAME}.{os.getpid()}.new")
        new.unlink(missing_ok=True)
        try:
            with open(create_private(new), "w", encoding="utf-8") as opened:
                opened.write("".join(f"{json.dumps(one, ensure_ascii=True)}\n" for one in kept))
            new.replace(file)
        finally:
            # A full disk leaves an empty one.
            new.unlink(missing_ok=True)
        remove_left_over(file)


def read_errors(folder: Path) -> list[dict[str, Any]]:
    """The recorded errors, the oldest first; those that cannot be read are left out."""
    try:
        with open(
            os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb"
        ) as opened:
            lines = opened.read(MOST_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    found: list[dict[str, Any]] = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def _template(error: BaseException) -> str:
    """The message without what was put in; of an error that no part of the program has worded, the system's reason."""
    return message_template(error) if isinstance(error, AsticaSyncError | OSError) else ""


def _frames(error: BaseException) -> list[str]:
    """Where in this program it came from, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    return [f"{Path(frame.filename).relative_to(PACKAGE).as_posix()}:{frame.lineno} {frame.name}" for frame in own][
        -MOST_FRAMES:
    ]
