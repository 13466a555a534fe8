"""``python -m tests.crash pushes --cycles 200 --photos FOLDER``: kills real commands, again and again."""

import argparse
import time
from pathlib import Path

from tests.crash.loop import Work, run_crashes
from tests.crash.pushes import Pushes
from tests.crash.trainings import Trainings

KINDS: dict[str, type[Work]] = {"pushes": Pushes, "trainings": Trainings}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("kind", choices=KINDS, nargs="?", default="pushes", help="what is killed (default: pushes)")
    parser.add_argument("--cycles", type=int, default=200, help="how many cycles (default: 200)")
    parser.add_argument("--photos", type=Path, default=Path("fixtures/store"), help="the images of the store")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats the random choices of a run")
    given = parser.parse_args()
    began = time.monotonic()
    work = run_crashes(KINDS[given.kind], given.photos, given.cycles, given.seed)
    seconds = time.monotonic() - began
    print(f"{given.cycles} cycles in {seconds:.0f} s with seed {given.seed}: nothing lost, nothing duplicated")
    print(f"killed by {dict(work.loop.kills)}")
    print(work.summary())


if __name__ == "__main__":
    main()
