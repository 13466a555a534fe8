"""Runs commands in new processes and measures time and memory of each.

Other load on the machine disturbs every figure, so the commands take turns and medians are compared.
"""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ASTICA = (sys.executable, "-m", "astica_sync")
_RUN_COMMAND = (sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "harness" / "run_command.py"))


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one run: wall time and processor time of all processes in seconds, peak memory of the largest process
    in MB."""

    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Command:
    """A command, its folder and environment, and a preparation that is not measured; ``codes`` are its exit codes."""

    arguments: Sequence[str | Path]
    folder: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] = lambda: None
    codes: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    ``ratio`` is relative to the line called ``baseline``, or a number with ``baseline`` as its unit. ``target`` is a
    limit for it such as ``<= 1.0``. ``runs`` is the number of runs behind the medians.
    """

    work: str
    name: str
    wall: float
    cpu: float
    peak_mb: float
    ratio: float | None = None
    baseline: str = ""
    target: str = ""
    note: str = ""
    runs: int = 1

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None if there is no target, or nothing was measured."""
        if not self.target or self.ratio is None or math.isnan(self.ratio):
            return None
        sign, number = self.target.split()
        return self.ratio <= float(number) if sign == "<=" else self.ratio >= float(number)


def value(work: str, name: str, number: float, unit: str, target: str = "", note: str = "", runs: int = 1) -> Figure:
    """A line with one number and its unit."""
    nan = float("nan")
    return Figure(work, name, nan, nan, nan, number, unit, target, note, runs)


def skipped(work: str, name: str, why: str) -> Figure:
    """A line for a command that was not run."""
    return Figure(work, name, float("nan"), float("nan"), float("nan"), note=f"skipped: {why}")


def run(command: Command) -> Cost:
    """Runs a command once in a new process.

    Raises:
        RuntimeError: its exit code is not one of ``codes``.
    """
    command.prepare()
    done = subprocess.run(
        [*_RUN_COMMAND, *(str(argument) for argument in command.arguments)],
        cwd=command.folder or ROOT,
        env=environ_of(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command.arguments} cannot be started: {done.stderr}")
    wall, cpu, peak_mb, code = json.loads(done.stdout)
    if code not in command.codes:
        raise RuntimeError(f"{command.arguments} ended with {code}: {done.stderr}")
    return Cost(wall, cpu, peak_mb)


def start(command: Command, **streams: Any) -> "subprocess.Popen[str]":
    """Starts a command that is measured from outside, in a session of its own. ``streams`` are those of ``Popen``; the
    others are null devices."""
    null = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    return subprocess.Popen(
        [str(argument) for argument in command.arguments],
        cwd=command.folder or ROOT,
        env=environ_of(command),
        text=True,
        errors="replace",
        start_new_session=True,
        **{**null, **streams},
    )


def environ_of(command: Command) -> dict[str, str]:
    """The environment of a command, without the caller's ``ASTICA_`` and ``PYTHON`` variables.

    A setting that disables compiled modules, for example, would add compile time that an installed program does not
    have.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("ASTICA_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT), **command.environ}


def take_turns(
    commands: Mapping[str, Command], times: int, *, warm: bool = True, once: Mapping[str, Command] | None = None
) -> dict[str, list[Cost]]:
    """Runs the commands in turn, ``times`` times, after one turn that is not measured unless ``warm`` is False.

    The commands in ``once`` take too long for that; each is run once, at the end.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(times + warm):
        for name, command in commands.items():
            cost = run(command)
            if turn or not warm:
                costs[name].append(cost)
    for name, command in (once or {}).items():
        costs[name] = [run(command)]
    return costs


def compare(
    work: str,
    commands: Mapping[str, Command],
    times: int,
    target: Mapping[tuple[str, str], str] | None = None,
    *,
    warm: bool = True,
) -> list[Figure]:
    """Runs the commands in turn; one line for each.

    ``target`` has a limit for the ratio of two names. The ratio is the median of the ratios of each turn.
    """
    return judge(work, take_turns(commands, times, warm=warm), target)


def judge(
    work: str, costs: Mapping[str, Sequence[Cost]], target: Mapping[tuple[str, str], str] | None = None
) -> list[Figure]:
    """One line for each command, and one more for each further comparison of it."""
    figures = []
    for name, mine in costs.items():
        pairs = [
            (baseline, words) for (one, baseline), words in (target or {}).items() if one == name and baseline in costs
        ]
        for number, (baseline, words) in enumerate(pairs or [("", "")]):
            ratio = (
                ratio_of([cost.wall for cost in mine], [cost.wall for cost in costs[baseline]]) if baseline else None
            )
            shown = medians(mine) if number == 0 else (float("nan"),) * 3
            figures.append(Figure(work, name, *shown, ratio, baseline, words, runs=len(mine)))
    return figures


def ratio_of(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of each turn; the ratio of the medians if the numbers of turns differ."""
    if len(mine) != len(theirs):
        return statistics.median(mine) / statistics.median(theirs)
    return statistics.median(one / other for one, other in zip(mine, theirs, strict=True))


def medians(costs: Sequence[Cost]) -> tuple[float, float, float]:
    columns = zip(*(asdict(cost).values() for cost in costs), strict=True)
    wall, cpu, peak = (statistics.median(column) for column in columns)
    return wall, cpu, peak


def has(program: str) -> bool:
    return shutil.which(program) is not None
