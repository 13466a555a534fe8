"""Whether a process was suspended by a signal: it exists and keeps its locks, and does nothing."""

import os
from pathlib import Path

PROC = Path("/proc")


def is_suspended(pid: int, lock_file: Path) -> bool:
    """Whether SIGSTOP, or Ctrl-Z in its terminal, has stopped the process ``pid`` that has ``lock_file`` open.

    False where that is not known: without /proc (proc(5)), and where the process is one of another container, in which
    the number means another one.
    """
    folder = PROC / str(pid)
    try:
        real = os.path.realpath(lock_file)
        if not any(os.readlink(folder / "fd" / name) == real for name in os.listdir(folder / "fd")):  # noqa: PTH115, PTH208
            return False
        # The state follows the name of the program, in which there may be any character.
        return (folder / "stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"T"]
    except OSError:
        return False
