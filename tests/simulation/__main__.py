"""``python -m tests.simulation``: plays walks, replays one, or counts the seeded bugs that are caught."""

import argparse
import platform
import random
import sqlite3
import sys

from tests.simulation.days import write_day
from tests.simulation.runner import Report, play_many, saved_seeds, shrink, stage
from tests.simulation.script import write_script
from tests.simulation.walk import walk


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--walks", type=int, default=1000, help="how many walks (default: 1000)")
    parser.add_argument("--seed", type=int, help="the first seed; drawn and printed otherwise")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes play")
    parser.add_argument("--files", action="store_true", help="SQLite in files instead of memory")
    parser.add_argument("--days", action="store_true", help="long days of a watcher instead of walks")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    parser.add_argument("--replay", type=int, metavar="SEED", help="tell the story of one walk, made small if it fails")
    parser.add_argument("--whole", action="store_true", help="with --replay: do not make it small")
    parser.add_argument("--saved", action="store_true", help="play the saved seeds")
    parser.add_argument("--mutants", nargs="?", const="", metavar="NAME", help="count the seeded bugs that are caught")
    parser.add_argument("--sweep", action="store_true", help="fail every effect of every scenario")
    options = parser.parse_args(arguments)
    if options.replay is not None:
        return replay(options.replay, options.whole, options.files, options.days)
    if options.saved:
        return play_saved(options.files)
    if options.mutants is not None:
        from tests.simulation.mutants import hunt

        return hunt(options.mutants, options.walks, options.seed or 1, options.jobs)
    if options.sweep:
        from tests.simulation.sweep import sweep_all

        return sweep_all()
    first = options.seed if options.seed is not None else random.SystemRandom().getrandbits(40)
    return play(first, options.walks, options.jobs, options.files, options.minutes, options.days)


def play(first: int, walks: int, jobs: int, in_files: bool, minutes: float | None, days: bool) -> int:
    said = 0.0

    def on_report(report: Report) -> None:
        nonlocal said
        if report.seconds - said >= 60:
            said = report.seconds
            print(f"  {report.walks:,} walks, {report.walks / report.seconds:.0f} a second", flush=True)

    where = "files" if in_files else "memory"
    print(f"first seed {first}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version} in {where}")
    report = play_many(
        first,
        walks,
        jobs=jobs,
        in_files=in_files,
        days=days,
        seconds=minutes * 60 if minutes is not None else None,
        on_report=on_report,
    )
    print(f"{report.walks:,} walks from seed {first}, {report.effects:,} effects, {report.seconds:.0f} s, "
          f"{report.walks / report.seconds:.0f} walks a second, {len(report.failures)} failures")  # fmt: skip
    for failure in report.failures:
        print(failure)
    return 1 if report.failures else 0


def replay(seed: int, whole: bool, in_files: bool, days: bool) -> int:
    script = write_day(seed) if days else write_script(seed)
    with stage(in_files) as databases:
        if not (whole or days) and walk(script, databases).broken is not None:
            script = shrink(script, databases)
        outcome = walk(script, databases, tell=True)
    print("\n".join(outcome.story))
    print(outcome.broken or "every promise held")
    return 1 if outcome.broken else 0


def play_saved(in_files: bool) -> int:
    with stage(in_files) as databases:
        failed = 0
        for seed, word in saved_seeds():
            broken = walk(write_script(seed), databases).broken
            failed += broken is not None
            print(f"{seed} {word}: {broken or 'holds'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
