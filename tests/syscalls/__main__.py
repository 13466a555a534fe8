"""Each error in each system call that a command makes: ``python -m tests.syscalls --command push --jobs 2``.

One fault of each pair of a call and an error is played first, then a second one of each, and so on up to ``--each``.
"""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.syscalls.faults import Fault, can_inject, in_turn
from tests.syscalls.ground import COMMANDS
from tests.syscalls.sweep import Sweep, enter_ground, faults_of

IN_MEMORY = Path("/dev/shm")


def main() -> int:
    given = _parse(sys.argv[1:])
    if not can_inject():
        sys.exit("strace cannot make system calls fail here")
    folder = given.folder or (IN_MEMORY if IN_MEMORY.is_dir() else None)
    end = time.monotonic() + given.minutes * 60
    wrong = 0
    with ExitStack() as opened:
        place = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="astica-sync-syscalls-", dir=folder)))
        pool = opened.enter_context(
            ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn"), enter_ground, (str(place),))
        )
        for name in given.command or COMMANDS:
            every = list(in_turn(pool.submit(faults_of, name).result(), random.Random(given.seed)))
            sweep = Sweep(name, every, given.seed)
            sweep.play(pool, _chosen(every, given), given.jobs, end)
            wrong += sweep.wrong
    return 1 if wrong else 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.syscalls", description=__doc__)
    parser.add_argument("--command", action="append", choices=COMMANDS, help="a command (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time, each with a store of its own")
    parser.add_argument("--part", default="1/1", metavar="N/M", help="the N-th of M parts of the faults")
    parser.add_argument("--each", type=int, default=1, help="faults of each pair (default: 1; 0: all)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further fault after these")
    parser.add_argument("--seed", type=int, default=1, help="which fault of a pair comes first")
    parser.add_argument("--folder", type=Path, help="where the stores are (default: in memory)")
    parser.add_argument("--fault", action="append", help="these faults alone, as they were printed")
    return parser.parse_args(arguments)


def _chosen(every: Sequence[Fault], given: argparse.Namespace) -> list[Fault]:
    if given.fault:
        return [fault for fault in every if str(fault) in given.fault] or sys.exit("there is no such fault")
    number, _, parts = given.part.partition("/")
    counts: dict[tuple[str, str], int] = {}
    chosen = []
    for fault in every:
        counts[fault.pair] = counts.get(fault.pair, 0) + 1
        if given.each == 0 or counts[fault.pair] <= given.each:
            chosen.append(fault)
    return chosen[int(number) - 1 :: int(parts)]


if __name__ == "__main__":
    sys.exit(main())
