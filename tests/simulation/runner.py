"""Plays many walks on many cores, and makes a failing one small enough to be read."""

import contextlib
import gc
import multiprocessing
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.simulation.databases import Databases, installed
from tests.simulation.days import write_day
from tests.simulation.script import Script, write_script
from tests.simulation.walk import Outcome, walk

SEEDS = Path(__file__).parent / "seeds.txt"
CHUNK = 25


@dataclass(frozen=True, slots=True)
class Failure:
    """A walk that failed. ``str`` says how, and the command that tells its story."""

    seed: int
    text: str
    in_files: bool = False
    days: bool = False

    def __str__(self) -> str:
        flags = " --files" * self.in_files + " --days" * self.days
        return f"seed {self.seed}: {self.text}\n  python -m tests.simulation --replay {self.seed}{flags}"


@dataclass(slots=True)
class Report:
    """What a run of many walks came to. ``seconds`` is time on the wall."""

    walks: int = 0
    effects: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()


@contextlib.contextmanager
def stage(in_files: bool = False) -> Iterator[Databases]:
    """Everything a walk needs, made once."""
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(tempfile.TemporaryDirectory(prefix="astica-walks-")) if in_files else "/simulated"
        databases = stack.enter_context(contextlib.closing(Databases(base, in_files)))
        stack.enter_context(installed(databases))
        databases.prepare("a", ("A", "B"))
        databases.prepare("b", ("B",))
        # What is there now stays: no collection need look at it again.
        gc.collect()
        gc.freeze()
        yield databases


def play_seed(seed: int, databases: Databases, tell: bool = False, days: bool = False) -> Outcome:
    """Plays the walk of a seed, or its long days."""
    return walk(write_day(seed) if days else write_script(seed), databases, tell)


def play_many(
    first: int,
    count: int,
    *,
    jobs: int = 1,
    in_files: bool = False,
    days: bool = False,
    seconds: float | None = None,
    on_report: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Plays the walks of ``count`` seeds from ``first`` on; stops at ``seconds`` or after the first failures."""
    started = time.monotonic()
    report = Report()
    chunks = (
        (start, min(CHUNK, first + count - start), in_files, days) for start in range(first, first + count, CHUNK)
    )
    with contextlib.ExitStack() as stack:
        results: Iterator[tuple[int, int, tuple[Failure, ...]]]
        if jobs > 1:
            # Fresh processes: a fork would take over connections and greenlets.
            context = multiprocessing.get_context("spawn")
            pool = stack.enter_context(context.Pool(jobs))
            results = pool.imap_unordered(_play_chunk, chunks)
        else:
            databases = stack.enter_context(stage(in_files))
            results = (_play(first, count, databases, in_files, days) for first, count, *_ in chunks)
        for walks, effects, failures in results:
            report.walks += walks
            report.effects += effects
            report.failures += failures
            report.seconds = time.monotonic() - started
            on_report(report)
            if report.failures or (seconds is not None and report.seconds >= seconds):
                break
    return report


_stages: dict[bool, Databases] = {}
_open = contextlib.ExitStack()


def _play_chunk(chunk: tuple[int, int, bool, bool]) -> tuple[int, int, tuple[Failure, ...]]:
    """In a process that plays nothing else: the stage stays for the next chunk."""
    first, count, in_files, days = chunk
    if in_files not in _stages:
        _stages[in_files] = _open.enter_context(stage(in_files))
    return _play(first, count, _stages[in_files], in_files, days)


def _play(
    first: int, count: int, databases: Databases, in_files: bool, days: bool
) -> tuple[int, int, tuple[Failure, ...]]:
    effects = 0
    failures = []
    # Walks leave many cycles; collecting them once for many walks is quicker than all the time.
    gc.disable()
    for seed in range(first, first + count):
        try:
            outcome = play_seed(seed, databases, days=days)
        except Exception:  # noqa: BLE001
            # A mistake of the simulation itself; without its seed it could not be found.
            failures.append(Failure(seed, traceback.format_exc(), in_files, days))
            continue
        effects += outcome.effects
        if outcome.broken is not None:
            failures.append(Failure(seed, str(outcome.broken), in_files, days))
    gc.collect()
    gc.enable()
    return count, effects, tuple(failures)


def shrink(script: Script, databases: Databases) -> Script:
    """Leaves out what the failure does not need: steps first, then accidents, faults, waiting."""
    first = walk(script, databases).broken
    assert first is not None

    def fails(candidate: Script) -> bool:
        broken = walk(candidate, databases).broken
        return broken is not None and broken.promise == first.promise

    changed = True
    while changed:
        changed = False
        for candidate in _smaller(script):
            if fails(candidate):
                script, changed = candidate, True
                break
    return script


def _smaller(script: Script) -> Iterator[Script]:
    for number in reversed(range(len(script.steps))):
        yield replace(script, steps=script.steps[:number] + script.steps[number + 1 :])
    for kind, chance in script.trouble.items():
        if chance:
            yield replace(script, trouble={**script.trouble, kind: 0.0})
    if script.faults.rate:
        yield replace(script, faults=replace(script.faults, rate=0.0))
    for kind in sorted(script.faults.kinds):
        yield replace(script, faults=replace(script.faults, kinds=script.faults.kinds - {kind}))
    if script.stores > 1:
        yield replace(script, stores=1)
    for number, step in enumerate(script.steps):
        if step.gap:
            steps = [*script.steps[:number], replace(step, gap=0.0), *script.steps[number + 1 :]]
            yield replace(script, steps=steps)


def saved_seeds() -> list[tuple[int, str]]:
    """The seeds that once failed, each with a word on why."""
    lines = SEEDS.read_text().splitlines() if SEEDS.exists() else []
    entries = [line.partition(" ") for line in lines if line.strip() and not line.startswith("#")]
    return [(int(seed), word.strip()) for seed, _, word in entries]
