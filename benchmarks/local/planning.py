"""Comparing and planning without a scan: observation, journal and index of a store, without the state of a last status.

python -m benchmarks.local.planning STORE     prints seconds and memory of each step
"""

import gc
import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.harness.measure import Command, Figure, judge, medians, run, take_turns, value
from benchmarks.local import store_status

OURS = "astica-sync"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    sizes = (10_000, 100_000, 1_000_000) if full else (10_000, 50_000, 100_000)
    idle = medians([run(Command([sys.executable, "-m", "benchmarks.local.planning"])) for _ in range(times)])
    found = []
    took = []
    for files in sizes:
        store = store_status.make(scratch, files)
        work = f"view, compare and plan, {files:,} x {files:,}"
        costs = take_turns({OURS: Command([sys.executable, "-m", "benchmarks.local.planning", store])}, times)
        lines = judge(work, costs)
        wall, cpu, peak = medians(costs[OURS])
        took.append(cpu)
        target = ("<= 6", "<= 300") if files == max(sizes) else ("", "")
        view = (store / ".astica-sync" / "last-view.json").stat().st_size / 1e6
        found += lines
        note = f"answer of {view:.0f} MB"
        found.append(value(work, "time over the idle process", wall - idle[0], "s", target[0], note, times))
        found.append(value(work, "memory over the idle process", peak - idle[2], "MB", target[1], runs=times))
    # For each additional sample, so that the start of the process is not counted.
    each = [
        (after - before) / (more - few)
        for (before, after), (few, more) in zip(pairwise(took), pairwise(sizes), strict=True)
    ]
    grown = each[-1] / each[0]
    name = f"processor time for each sample from {sizes[1]:,} to {sizes[2]:,}, compared with those from {sizes[0]:,}"
    return [*found, value("view, compare and plan", name, grown, "times", "<= 1.2", runs=times)]


def main() -> None:
    from astica_sync.cli.main import GC_THRESHOLDS
    from astica_sync.core.plan.gather_facts import PlanContext
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.layout import Layout
    from astica_sync.remote.responses import parse_view
    from astica_sync.sync.plan.plan_differences import compare

    if len(sys.argv) < 2:
        return
    steps = {}
    gc.set_threshold(*GC_THRESHOLDS)

    def step(name: str, began: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        steps[name] = [round(time.monotonic() - began, 3), peak]

    layout = Layout(Path(sys.argv[1]))
    began = time.monotonic()
    kept = layout.last_view.read_bytes()
    start = kept.index(b"\n") + 1
    model_id = json.loads(kept[:start])["model_id"]
    step("read", began)
    began = time.monotonic()
    observation = parse_view(memoryview(kept)[start:], model_id, time.time())
    del kept
    step("parse", began)
    began = time.monotonic()
    with Index(layout.index_db) as index, Journal(layout.journal_db) as journal:
        terms = PlanContext(run="bench", run_started=time.time(), quarantine=60)
        # A comparison needs only these two of the local side.
        local: Any = SimpleNamespace(index=index, journal=journal)
        plan = compare(local, observation, terms, quick=False, most=None)
    step("compare and plan", began)
    assert plan.in_sync, plan.requests
    print(json.dumps(steps))


if __name__ == "__main__":
    main()
