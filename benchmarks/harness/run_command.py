"""Runs a command and prints its cost as JSON: wall time and processor time in seconds, peak memory in MB, exit code.

Until a new process executes its program, its memory is that of the process that started it. The harness may hold a
whole sandbox in memory, so it starts this small program, and this one starts the command.
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
