"""The processor time of a push that uploads as fast as the request limit allows."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from benchmarks.harness.measure import ASTICA, ROOT, Command, Figure, start, value
from benchmarks.harness.store_trees import bind
from benchmarks.push import upload_speed

LIMIT, WINDOW = 90, 60
TICKS = os.sysconf("SC_CLK_TCK")


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    minutes = 10 if full else 1
    photos = upload_speed.make(scratch, LIMIT * (minutes + 3))
    with upload_speed.sandbox(photos.parent, "20-50ms") as (url, models):
        shutil.rmtree(photos / ".astica-sync", ignore_errors=True)
        bind(photos, url, next(models))
        settings = upload_speed.push_environ(photos, url) | {
            "ASTICA_LIMIT": str(LIMIT),
            "ASTICA_LIMIT_WINDOW": str(WINDOW),
        }
        push = Command([*ASTICA, "push", "--json", "--store", photos], ROOT, settings)
        with start(push) as process:
            try:
                # The first minute includes the start, and a burst of a whole limit.
                time.sleep(WINDOW)
                before, began = cpu_of(process.pid), time.monotonic()
                time.sleep(WINDOW * minutes)
                used, took = cpu_of(process.pid) - before, time.monotonic() - began
                if process.poll() is not None:
                    raise RuntimeError("the push ended before it was measured")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    name = f"processor time of a push at {LIMIT} per {WINDOW} s, photos of 300 kB, over {took:.0f} s"
    note = f"{1000 * used / (LIMIT * minutes):.1f} ms a photo"
    return [value("CPU at the limit", name, 100 * used / took, "% of one core", "<= 3", note)]


def cpu_of(root: int) -> float:
    """Seconds of processor time of a process and its descendants, including those that have ended."""
    parents, used = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
                used[int(folder.name)] = sum(int(field) for field in fields[11:15]) / TICKS
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(used.get(pid, 0.0) for pid in family)
