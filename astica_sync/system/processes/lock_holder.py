"""Which process has locked a file for writing, as SQLite does while it writes to a database."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

LOCKS = Path("/proc/locks")
"""All locks of this machine (proc_locks(5)): reading it opens no file that has one, which would release it."""


def find_lock_holders(files: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """The files that another process has locked for writing, each with that process; none where that is not known:
    without /proc, and on file systems whose numbers differ from those that it shows."""
    try:
        lines = LOCKS.read_text("ascii", "replace").splitlines()
    except OSError:
        return
    holders: dict[str, int] = {}
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 3935 fe:00:12345 1073741825 1073741825
        match line.split():
            case [_, "POSIX", _, "WRITE", process, place, *_] if process.isdigit() and int(process) not in (
                0,
                os.getpid(),
            ):
                holders[place] = int(process)
    if not holders:
        return
    for file in files:
        try:
            found = file.stat()
        except OSError:
            continue
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        if place in holders:
            yield file, holders[place]


def name_process(pid: int) -> str:
    """Its number and the name of its program, without arguments: these may have names of files in them."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        name = ""
    return f"process {pid} ({name})" if name.isprintable() and name else f"process {pid}"
