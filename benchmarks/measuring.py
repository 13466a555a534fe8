"""Runs commands in fresh processes and says what each cost.

Whoever else works on the machine disturbs every figure, so the candidates take turns and the medians are compared.
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

ROOT = Path(__file__).resolve().parent.parent
ASTICA = (sys.executable, "-m", "astica_sync")
_ALONE = (sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "alone.py"))


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
    """One line of a table. ``ratio`` is to the line called ``beside``, or a number of that unit; ``reach`` is what is
    wanted of it, such as ``<= 1.0``; ``runs`` is how many the medians are of."""

    work: str
    name: str
    wall: float
    cpu: float
    peak_mb: float
    ratio: float | None = None
    beside: str = ""
    reach: str = ""
    note: str = ""
    runs: int = 1

    @property
    def reached(self) -> bool | None:
        """Whether what is wanted was reached; None where nothing is wanted, or nothing was measured."""
        if not self.reach or self.ratio is None or math.isnan(self.ratio):
            return None
        sign, number = self.reach.split()
        return self.ratio <= float(number) if sign == "<=" else self.ratio >= float(number)


def value(work: str, name: str, number: float, unit: str, reach: str = "", note: str = "", runs: int = 1) -> Figure:
    """A line that is one number with a unit, and not the cost of a command."""
    nan = float("nan")
    return Figure(work, name, nan, nan, nan, number, unit, reach, note, runs)


def skipped(work: str, name: str, why: str) -> Figure:
    return Figure(work, name, float("nan"), float("nan"), float("nan"), note=f"skipped: {why}")


def run(command: Command) -> Cost:
    """Runs it once in a process of its own.

    Raises:
        RuntimeError: it ended with a code that was not expected.
    """
    command.prepare()
    done = subprocess.run(
        [*_ALONE, *(str(argument) for argument in command.arguments)],
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


def environ_of(command: Command) -> dict[str, str]:
    """Nothing of the caller's own settings of the program gets in, nor of Python's: one that keeps no compiled modules
    would measure the compiler, which an installed program has behind it."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("ASTICA_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT), **command.environ}


def take_turns(
    commands: Mapping[str, Command], times: int, *, warm: bool = True, once: Mapping[str, Command] | None = None
) -> dict[str, list[Cost]]:
    """Runs all of them in turn, ``times`` times, after one turn that counts for nothing unless ``warm`` is False.
    ``once`` are run a single time, after the first turn: what takes too long for more."""
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
    reach: Mapping[tuple[str, str], str] | None = None,
    *,
    warm: bool = True,
) -> list[Figure]:
    """Runs all of them in turn and says what each cost.

    ``reach`` says what is wanted of a pair of names; its ratio is the median of the ratios of each turn.
    """
    return judge(work, take_turns(commands, times, warm=warm), reach)


def judge(
    work: str, costs: Mapping[str, Sequence[Cost]], reach: Mapping[tuple[str, str], str] | None = None
) -> list[Figure]:
    """One line for each command, and one more for each further pair that is compared."""
    figures = []
    for name, mine in costs.items():
        pairs = [(beside, words) for (one, beside), words in (reach or {}).items() if one == name and beside in costs]
        for number, (beside, words) in enumerate(pairs or [("", "")]):
            ratio = ratio_of([cost.wall for cost in mine], [cost.wall for cost in costs[beside]]) if beside else None
            shown = medians(mine) if number == 0 else (float("nan"),) * 3
            figures.append(Figure(work, name, *shown, ratio, beside, words, runs=len(mine)))
    return figures


def ratio_of(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of each turn; of the medians, where one side had fewer turns."""
    if len(mine) != len(theirs):
        return statistics.median(mine) / statistics.median(theirs)
    return statistics.median(one / other for one, other in zip(mine, theirs, strict=True))


def medians(costs: Sequence[Cost]) -> tuple[float, float, float]:
    columns = zip(*(asdict(cost).values() for cost in costs), strict=True)
    wall, cpu, peak = (statistics.median(column) for column in columns)
    return wall, cpu, peak


def has(program: str) -> bool:
    return shutil.which(program) is not None
