"""``python -m benchmarks``: minutes; ``--full``: a million files, the better part of an hour."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import local_status, planning, report, starting
from benchmarks.measuring import ROOT, Figure

Suite = Callable[[Path, bool, int], list[Figure]]


def status(scratch: Path, full: bool, times: int) -> list[Figure]:
    sizes = (1_000, 10_000, 100_000, *((1_000_000,) if full else ()))
    return [figure for files in sizes for figure in local_status.figures(scratch, files, times)]


def changes(scratch: Path, full: bool, times: int) -> list[Figure]:
    return local_status.changed_figures(scratch, 1_000_000 if full else 100_000, times)


def budget(scratch: Path, full: bool, times: int) -> list[Figure]:
    # In a process of its own: what this one holds would count as the peak of everything it starts.
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.budget_use", *(["--full"] if full else [])],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    return [Figure(**{**row, **{key: float("nan") for key in ("cpu", "peak_mb")}}) for row in json.loads(out.stdout)]


def sandbox(scratch: Path, full: bool, times: int) -> list[Figure]:
    subprocess.run([sys.executable, ROOT / "benchmarks" / "bench_sandbox.py"], check=True)
    return []


SUITES: dict[str, Suite] = {
    "start": starting.figures,
    "status": status,
    "changes": changes,
    "plan": planning.figures,
    "budget": budget,
    "sandbox": sandbox,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what the program costs, beside its peers.")
    parser.add_argument("--full", action="store_true", help="a million files")
    parser.add_argument("--only", action="append", choices=SUITES, help="these alone")
    parser.add_argument("--times", type=int, default=5, help="runs of each command (medians are shown)")
    parser.add_argument("--work", type=Path, help="folder for the trees, kept for the next run")
    parser.add_argument("--json", type=Path, help="where the figures go as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = given.work or Path(temporary)
        about = report.machine(scratch)
        print(*(f"{name}: {value}" for name, value in about.items()), sep="\n", flush=True)
        figures: list[Figure] = []
        for name in given.only or SUITES:
            found = SUITES[name](scratch, given.full, given.times)
            figures += found
            if found:
                print(f"\n{report.table(found)}", flush=True)
    print(f"\nload after: {os.getloadavg()[0]:.1f}")
    if given.json:
        report.write(given.json, about, figures)


if __name__ == "__main__":
    main()
