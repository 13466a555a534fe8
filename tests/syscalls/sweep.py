"""The faults of one command, played by worker processes that have a store and a sandbox each."""

import multiprocessing
import multiprocessing.util
import shlex
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.syscalls.faults import Fault
from tests.syscalls.ground import Ground, ground_in

PROGRESS_SECONDS = 10.0
_here: list[Ground] = []
"""The ground of a worker process."""


@dataclass
class Sweep:
    """The faults of one command that are played, and what came of them."""

    name: str
    every: Sequence[Fault]
    seed: int
    wrong: int = 0
    played: list[Fault] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    printed: float = field(default_factory=time.monotonic)

    def play(self, pool: ProcessPoolExecutor, chosen: Sequence[Fault], jobs: int, end: float) -> None:
        """Plays them until ``end``, and prints what is wrong, the progress and the result."""
        waiting = iter(chosen)
        running: dict[Future[str], Fault] = {}
        while True:
            while len(running) < jobs and time.monotonic() < end and (fault := next(waiting, None)):
                running[pool.submit(_play, self.name, fault)] = fault
            if not running:
                break
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                self._ended(running.pop(ended), ended.result())
        print(f"{self.name}: {self._count()}", flush=True)

    def _ended(self, fault: Fault, reason: str) -> None:
        self.played.append(fault)
        if reason:
            self.wrong += 1
            again = f"python -m tests.syscalls --command {self.name} --fault {shlex.quote(str(fault))}"
            print(f"WRONG {self.name}: {fault}: {reason.strip()}\nagain with: {again}\n", flush=True)
        if time.monotonic() >= self.printed + PROGRESS_SECONDS:
            self.printed = time.monotonic()
            print(f"{self.name}: {self._count()}", flush=True)

    def _count(self) -> str:
        pairs, every = {fault.pair for fault in self.played}, {fault.pair for fault in self.every}
        calls = {call for call, _ in every}
        seconds = time.monotonic() - self.began
        return (
            f"{len(pairs)} of {len(every)} pairs of {len(calls)} calls and an error, {len(self.played)} of "
            f"{len(self.every)} faults, {self.wrong} wrong, {seconds:.0f} s, seed {self.seed}"
        )


def enter_ground(folder: str) -> None:
    process = multiprocessing.current_process()
    opened = ExitStack()
    _here.append(opened.enter_context(ground_in(Path(folder, process.name))))
    multiprocessing.util.Finalize(None, opened.close, exitpriority=10)


def faults_of(name: str) -> list[Fault]:
    return _here[0].faults(name)


def _play(name: str, fault: Fault) -> str:
    return _here[0].play(name, fault)
