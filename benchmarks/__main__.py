"""``python -m benchmarks``: minutes; ``--full``: a million files, the better part of an hour and more."""

import argparse
import compileall
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    budget_use,
    first_scan,
    local_status,
    plan_requests,
    planning,
    push_cpu,
    push_start,
    report,
    starting,
    uploading,
    watched,
)
from benchmarks.measuring import ROOT, Figure, skipped

Suite = Callable[[Path, bool, int], list[Figure]]


def status(scratch: Path, full: bool, times: int) -> list[Figure]:
    sizes = (1_000, 10_000, 100_000, *((1_000_000,) if full else ()))
    return [figure for files in sizes for figure in local_status.figures(scratch, files, times)]


def changes(scratch: Path, full: bool, times: int) -> list[Figure]:
    return local_status.changed_figures(scratch, 1_000_000 if full else 100_000, times)


def budget(scratch: Path, full: bool, times: int) -> list[Figure]:
    return budget_use.figures(full)


def sandbox(scratch: Path, full: bool, times: int) -> list[Figure]:
    subprocess.run([sys.executable, ROOT / "benchmarks" / "bench_sandbox.py"], check=True)
    return []


SUITES: dict[str, Suite] = {
    "start": starting.figures,
    "requests": plan_requests.figures,
    "status": status,
    "changes": changes,
    "watched": watched.figures,
    "plan": planning.figures,
    "push-start": push_start.figures,
    "scan": first_scan.figures,
    "upload": uploading.figures,
    "cpu": push_cpu.figures,
    "budget": budget,
    "sandbox": sandbox,
}
"""One for each row of the table, in the order in which they run; each runs alone, too."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what the program costs, beside its peers.")
    parser.add_argument("--full", action="store_true", help="a million files")
    parser.add_argument("--only", action="append", choices=SUITES, help="these alone")
    parser.add_argument("--times", type=int, default=5, help="runs of each command (medians are shown)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir(), "astica-sync-benchmarks"),
        help="folder for the trees, kept for the next run (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="where the figures go as JSON")
    parser.add_argument("--markdown", type=Path, help="where the tables go, to be pasted into docs/dev/benchmarks.md")
    parser.add_argument("--plot", type=Path, help="where the cost against size goes as SVG")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    sys.dont_write_bytecode = False
    compileall.compile_dir(ROOT / "astica_sync", quiet=2)
    about = report.machine(given.work)
    print(*(f"{name}: {text}" for name, text in about.items()), sep="\n", flush=True)
    figures: list[Figure] = []
    failed = []
    names = given.only or list(SUITES)
    for name in names:
        began = time.monotonic()
        try:
            alone = len(names) > 1
            found = _alone(name, given) if alone else SUITES[name](given.work, given.full, given.times)
        except Exception as error:  # noqa: BLE001 - one row that cannot be measured keeps nobody from the others
            if len(names) == 1:
                traceback.print_exc()
            found = [skipped(name, "the whole row", f"it could not be measured: {error}")]
            failed.append(name)
        figures += found
        about["load after"] = f"{os.getloadavg()[0]:.1f}"
        _save(given, about, figures)
        if found and len(names) == 1:
            print(f"\n{name}, {time.monotonic() - began:.0f} s\n\n{report.table(found)}", flush=True)
            print(f"\n{report.wanted(found)}", flush=True)
    if len(names) > 1:
        print(f"\nAll rows; load after: {about['load after']}\n\n{report.wanted(figures)}")
    sys.exit(f"not measured: {', '.join(failed)}" if failed else 0)


def _alone(name: str, given: argparse.Namespace) -> list[Figure]:
    """One row in a process of its own: what it leaves behind, or dies of, is no concern of the next one.

    Raises:
        RuntimeError: it could not be measured; why is on the screen.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "row.json")
        command = [sys.executable, "-m", "benchmarks", "--only", name, "--times", str(given.times)]
        command += ["--work", str(given.work), "--json", str(out), *(["--full"] if given.full else [])]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code or not out.exists():
            raise RuntimeError(f"its process ended with {code}")
        return report.read(out)


def _save(given: argparse.Namespace, about: dict[str, str], figures: list[Figure]) -> None:
    """After each row, so that what was measured is there whatever becomes of the rest."""
    if given.json:
        report.write(given.json, about, figures)
    if given.markdown:
        given.markdown.write_text(report.fragment(about, figures))
    curves = report.status_curves(figures)
    if given.plot and curves:
        report.plot(given.plot, "Status when nothing changed: seconds by files", curves)


if __name__ == "__main__":
    main()
