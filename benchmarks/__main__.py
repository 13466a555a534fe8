"""Runs the benchmarks: ``python -m benchmarks`` takes minutes, with ``--full`` (a million files) about two hours."""

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

from benchmarks.harness import report
from benchmarks.harness.measure import ROOT, Figure, skipped
from benchmarks.local import (
    bucket_status,
    command_start,
    conversion,
    first_scan,
    import_archive,
    inspect_on_workers,
    inspection,
    mirror_backup,
    planning,
    status_with_watcher,
    store_status,
)
from benchmarks.page import camera_preview, fiftyone_app, opening, relabel, scrolling, thumbnails
from benchmarks.push import budget_use, plan_requests, push_cpu, push_start, shared_budget, upload_speed

Suite = Callable[[Path, bool, int], list[Figure]]


def status(scratch: Path, full: bool, times: int) -> list[Figure]:
    sizes = (1_000, 10_000, 100_000, *((1_000_000,) if full else ()))
    return [figure for files in sizes for figure in store_status.figures(scratch, files, times)]


def changes(scratch: Path, full: bool, times: int) -> list[Figure]:
    return store_status.changed_figures(scratch, 1_000_000 if full else 100_000, times)


def budget(scratch: Path, full: bool, times: int) -> list[Figure]:
    return budget_use.figures(full)


def shared(scratch: Path, full: bool, times: int) -> list[Figure]:
    return shared_budget.figures(full)


def sandbox(scratch: Path, full: bool, times: int) -> list[Figure]:
    subprocess.run([sys.executable, "-m", "benchmarks.sandbox_speed"], check=True)
    return []


SUITES: dict[str, Suite] = {
    "start": command_start.figures,
    "requests": plan_requests.figures,
    "status": status,
    "changes": changes,
    "bucket": bucket_status.figures,
    "watched": status_with_watcher.figures,
    "plan": planning.figures,
    "push-start": push_start.figures,
    "scan": first_scan.figures,
    "import": import_archive.figures,
    "inspect": inspection.figures,
    "inspect-dask": inspect_on_workers.figures,
    "convert": conversion.figures,
    "mirror": mirror_backup.figures,
    "upload": upload_speed.figures,
    "cpu": push_cpu.figures,
    "budget": budget,
    "shared-budget": shared,
    "sandbox": sandbox,
    "page-open": opening.figures,
    "page-scroll": scrolling.figures,
    "page-thumbnails": thumbnails.figures,
    "page-relabel": relabel.figures,
    "page-preview": camera_preview.figures,
    "page-fiftyone": fiftyone_app.figures,
}
"""The rows of the table in the order in which they run, by the name for ``--only``."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures time and memory of the program, compared with other tools.")
    parser.add_argument("--full", action="store_true", help="a million files")
    parser.add_argument("--only", action="append", choices=SUITES, help="run only this row; may be repeated")
    parser.add_argument(
        "--times", type=int, default=5, help="runs of each command; medians are printed (default: %(default)s)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir(), "astica-sync-benchmarks"),
        help="folder for the trees, kept for the next run (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file as JSON")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, for docs/dev/benchmarks.md")
    parser.add_argument(
        "--plot", type=Path, help="write a plot of the status time by number of files to this file as SVG"
    )
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
            several = len(names) > 1
            found = _measure_in_process(name, given) if several else SUITES[name](given.work, given.full, given.times)
        except Exception as error:  # noqa: BLE001 - the other rows are measured all the same
            if len(names) == 1:
                traceback.print_exc()
            found = [skipped(name, "all", f"it could not be measured: {error}")]
            failed.append(name)
        figures += found
        about["load after"] = f"{os.getloadavg()[0]:.1f}"
        _save(given, about, figures)
        if found and len(names) == 1:
            print(f"\n{name}, {time.monotonic() - began:.0f} s\n\n{report.table(found)}", flush=True)
            print(f"\n{report.targets(found)}", flush=True)
    if len(names) > 1:
        print(f"\nAll rows; load after: {about['load after']}\n\n{report.targets(figures)}")
    sys.exit(f"not measured: {', '.join(failed)}" if failed else 0)


def _measure_in_process(name: str, given: argparse.Namespace) -> list[Figure]:
    """Measures one row in its own process, so that a crash or a leak does not affect the next row.

    Raises:
        RuntimeError: the row could not be measured; the reason has been printed.
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
    """Called after each row, so that its figures are kept if a later row fails."""
    if given.json:
        report.write(given.json, about, figures)
    if given.markdown:
        given.markdown.write_text(report.fragment(about, figures))
    curves = report.status_curves(figures)
    if given.plot and curves:
        report.plot(given.plot, "Status when nothing changed: seconds by files", curves)


if __name__ == "__main__":
    main()
