"""``inspect`` with two workers of a Dask cluster on this machine, compared with the processes of one command."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.harness.measure import ASTICA, Command, Figure, judge, skipped, take_turns
from benchmarks.local.inspection import make

ALONE = "astica-sync inspect"
ON_WORKERS = "with two workers by Dask"
KILLED = "with a worker killed every 10 s"
KILL_SECONDS = 10.0


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    count = 100_000 if full else 2_000
    work = f"inspect by Dask, {count:,} photos of 640 x 480"
    if find_spec("distributed") is None:
        return [skipped(work, ON_WORKERS, "needs pip install 'astica-sync[dask]'")]
    store = make(scratch, count)
    command = [*ASTICA, "inspect", store, "--no-features", "--json"]

    def forget() -> None:
        for file in (store / ".astica-sync").glob("inspect.db*"):
            file.unlink()

    with _cluster() as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        shared = [*command, "--executor", address]
        costs = take_turns(
            {ALONE: Command(command, prepare=forget), ON_WORKERS: Command(shared, prepare=forget)},
            1 if full else times,
            warm=not full,
        )
        # The processes of the workers are not those of the command, so its processor time and memory are its own alone.
        targets = {(ON_WORKERS, ALONE): "<= 1.18"}
        if full:
            with _killing(cluster):
                costs |= take_turns({KILLED: Command(shared, prepare=forget)}, 1, warm=False)
            targets[KILLED, ON_WORKERS] = "<= 1.1"
    return judge(work, costs, targets)


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


@contextlib.contextmanager
def _killing(cluster: Any) -> Iterator[None]:
    """Kills the process of one worker after the other; each is started again."""
    ended = threading.Event()

    def kill() -> None:
        number = 0
        while not ended.wait(KILL_SECONDS):
            nannies = list(cluster.workers.values())
            if pid := nannies[number % len(nannies)].pid:
                os.kill(pid, signal.SIGKILL)
            number += 1

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
