"""Runs the command it is given and prints what that cost, as JSON: seconds on the wall, seconds of processor time with
all children, the most memory of any one process in MB, and the exit code.

A process counts the memory of the one that started it until its own program begins. The harness may hold a whole
sandbox, so it starts this, which loads next to nothing, and this starts what is measured.
"""

import json
import os
import sys
import time


def main() -> None:
    began = time.monotonic()
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
    _, status, used = os.wait4(child, 0)
    wall = time.monotonic() - began
    cost = [wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]
    json.dump([*cost, os.waitstatus_to_exitcode(status)], sys.stdout)


if __name__ == "__main__":
    main()
