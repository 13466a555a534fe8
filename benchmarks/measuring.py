"""Runs commands in fresh processes and says what each cost.

Whoever else works on the machine disturbs every figure, so the candidates take turns and the medians are compared.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASTICA = (sys.executable, "-m", "astica_sync")


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: seconds on the wall, seconds of processor time with all children, most memory of any one process."""

    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, where, and what is done before each run without being measured."""

    arguments: Sequence[str | Path]
    folder: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] = lambda: None
    codes: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table. ``ratio`` is to the line called ``beside``, ``reach`` what is wanted of it, in words."""

    work: str
    name: str
    wall: float
    cpu: float
    peak_mb: float
    ratio: float | None = None
    beside: str = ""
    reach: str = ""
    note: str = ""


def skipped(work: str, name: str, why: str) -> Figure:
    return Figure(work, name, float("nan"), float("nan"), float("nan"), note=f"skipped: {why}")


def run(command: Command) -> Cost:
    """Runs it once in a process of its own.

    Raises:
        RuntimeError: it ended with a code that was not expected.
    """
    command.prepare()
    began = time.monotonic()
    process = subprocess.Popen(
        [str(argument) for argument in command.arguments],
        cwd=command.folder or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **command.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode not in command.codes:
        raise RuntimeError(f"{command.arguments} ended with {process.returncode}: {said.decode(errors='replace')}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def compare(
    work: str, commands: Mapping[str, Command], times: int, reach: Mapping[tuple[str, str], str] | None = None
) -> list[Figure]:
    """Runs all of them in turn, ``times`` times after one run that counts for nothing.

    ``reach`` says what is wanted of a pair of names; its ratio is the median of the ratios of each turn.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(times + 1):
        for name, command in commands.items():
            cost = run(command)
            if turn:
                costs[name].append(cost)
    figures = []
    wanted = {name: (beside, words) for (name, beside), words in (reach or {}).items() if name in costs}
    pairs = [(name, *wanted.get(name, ("", ""))) for name in commands]
    pairs += [
        (name, beside, words) for (name, beside), words in (reach or {}).items() if wanted.get(name) != (beside, words)
    ]
    for name, beside, words in pairs:
        mine, theirs = costs[name], costs.get(beside)
        ratio = statistics.median(a.wall / b.wall for a, b in zip(mine, theirs, strict=True)) if theirs else None
        figures.append(Figure(work, name, *medians(mine), ratio, beside if theirs else "", words if theirs else ""))
    return figures


def medians(costs: Sequence[Cost]) -> tuple[float, float, float]:
    columns = zip(*(asdict(cost).values() for cost in costs), strict=True)
    wall, cpu, peak = (statistics.median(column) for column in columns)
    return wall, cpu, peak


def has(program: str) -> bool:
    return shutil.which(program) is not None
