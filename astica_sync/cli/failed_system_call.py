"""What a failed system call was about, where its error names no file: Python names one where a file is opened, and none
where it is read, written, synced or locked."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from astica_sync.system.error_advice import lock_remedy, remedy

_PROGRAM = "astica_sync"
_RANDOM = ("urandom(", "secrets.")


def place_and_remedy(error: OSError) -> tuple[str, str]:
    """What the call was about, "" where that is unknown, and what to do."""
    if isinstance(error.filename, str | bytes):
        path = os.fsdecode(error.filename)
        return path, remedy(error, path)
    for trace in reversed(list(_walk(error.__traceback__))):
        if found := _about(trace.tb_frame, trace.tb_lineno, error):
            return found
    return "", remedy(error, "")


def _walk(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _about(frame: FrameType, line: int, error: OSError) -> tuple[str, str] | None:
    module = str(frame.f_globals.get("__name__", ""))
    if module == "click.utils" and frame.f_code.co_name == "echo":
        stream = "standard error" if frame.f_locals.get("err") else "standard output"
        return stream, "where it is sent to cannot take it: free space there, or send it to another file or program"
    if module == "subprocess":
        return "a process that this command started", remedy(error, "")
    if module.startswith("filelock") and (lock := getattr(frame.f_locals.get("self"), "lock_file", "")):
        return f"the lock {lock}", lock_remedy(error, lock)
    if module == "importlib._bootstrap_external" and isinstance(path := frame.f_locals.get("path"), str):
        # A part of the program, or of a library, that is loaded when it is needed.
        return path, remedy(error, path, writing=False)
    source = _source(frame, line)
    if "getcwd(" in source:
        return "the current folder", "change to another folder, for example: cd ~; then run the command again"
    if module.partition(".")[0] != _PROGRAM:
        return None
    if any(words in source for words in _RANDOM):
        return "the random numbers of the system", "a sandbox around the program forbids getrandom: allow it there"
    paths = (value for value in frame.f_locals.values() if isinstance(value, Path) and value.is_absolute())
    path = next(paths, None)
    return None if path is None else (str(path), remedy(error, path))


def _source(frame: FrameType, line: int) -> str:
    """The line of the program, "" where the program's files cannot be read now either."""
    with contextlib.suppress(OSError, ImportError):
        import linecache

        return linecache.getline(frame.f_code.co_filename, line, frame.f_globals)
    return ""
