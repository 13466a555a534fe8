"""Which seeded bugs are caught, and after how many walks."""

import multiprocessing
import time

from tests.simulation.mutants.all import MUTANTS
from tests.simulation.mutants.seams import Mutant, planted
from tests.simulation.runner import play_seed, stage

CAUGHT_SHARE = 0.95
WALKS_OF_A_DAY = 10
"""A long day takes about as long as so many walks, and so many fewer are played."""


def first_catch(mutant: Mutant, walks: int, first: int) -> tuple[int | None, str]:
    """How many walks it takes until a promise breaks that holds without the bug, and which; None when none did."""
    with stage() as databases:
        seed, end = first, first + walks
        while seed < end:
            with planted(mutant):
                broken = play_seed(seed, databases, days=mutant.days).broken
                while broken is None and seed + 1 < end:
                    seed += 1
                    broken = play_seed(seed, databases, days=mutant.days).broken
            if broken is not None and play_seed(seed, databases, days=mutant.days).broken is None:
                return seed - first + 1, str(broken)
            seed += 1
    return None, ""


def hunt(name: str, walks: int, first: int, jobs: int) -> int:
    """Prints which seeded bugs are caught, and after how many walks."""
    chosen = [mutant for mutant in MUTANTS if name in mutant.name]
    started = time.monotonic()
    caught = 0
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        tasks = [(mutant.name, walks, first) for mutant in chosen]
        for found, (after, how) in pool.imap_unordered(_hunt_one, tasks):
            caught += after is not None
            print(f"{found:55} {after if after is not None else 'NOT CAUGHT':>10}  {how[:90]}", flush=True)
    print(f"{caught} of {len(chosen)} seeded bugs caught within {walks:,} walks from seed {first}, "
          f"{time.monotonic() - started:.0f} s")  # fmt: skip
    return 0 if caught >= CAUGHT_SHARE * len(chosen) else 1


def _hunt_one(task: tuple[str, int, int]) -> tuple[str, tuple[int | None, str]]:
    name, walks, first = task
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    try:
        return name, first_catch(mutant, max(1, walks // WALKS_OF_A_DAY) if mutant.days else walks, first)
    except (LookupError, SyntaxError) as error:
        return name, (None, f"does not fit the code: {error}")
