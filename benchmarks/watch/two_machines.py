"""Two machines on one model, through an hour of edits, kills, splits and restarts.

    python -m benchmarks.watch.two_machines redis|postgresql|gone [SECONDS] [SEED]

What happens, and in which time, is in ``tests.harness.fleet_walk``; a second of it is ten of usual time. Every five
minutes everything that can be repaired is, both stores must be in sync, and what must hold is checked. With ``gone``
the budget server ends for good half-way.
"""

import contextlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.watch.watch_latency import row
from tests.harness.budget_servers import postgres_server, redis_server
from tests.harness.fleet_walk import KEPT_ON_DISK, LIMIT, FleetWalk, fleet_walk

ROUND_SECONDS = 300.0


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "redis"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3600.0
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 21
    folder = Path(tempfile.mkdtemp(prefix="two-machines-"))
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server() if kind == "postgresql" else redis_server(*KEPT_ON_DISK))
            walk = stack.enter_context(fleet_walk(folder, server))
        except pytest.skip.Exception as reason:
            sys.exit(f"not run: {reason}")
        try:
            walk.begin()
            play(walk, random.Random(seed), seconds, gone=kind == "gone")
        except BaseException:
            save_requests(walk, folder / "requests.jsonl")
            print(f"the folder is kept: {folder}", file=sys.stderr)
            raise
        row("budget server, seed", f"{kind}, {seed}")
        row("requests", f"{len(walk.box.log):,}")
        for call, count in Counter(request.call for request in walk.box.log).most_common():
            row(f"requests: {call}", f"{count:,}")
        row(f"most requests in any window, of {LIMIT}", str(walk.most_in_window))
        for what, count in sorted(walk.happened.items()):
            row(what, f"{count:,}")
        row("samples at the end", f"{len(walk.box.samples(walk.model)):,}")
    shutil.rmtree(folder)


def save_requests(walk: FleetWalk, file: Path) -> None:
    """Every request that the service got, for who looks for the cause of a failure."""
    lines = [json.dumps([one.time, one.call, one.outcome, dict(one.sent)], default=str) for one in walk.box.log]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def play(walk: FleetWalk, rng: random.Random, seconds: float, *, gone: bool) -> None:
    began = time.monotonic()
    while (past := time.monotonic() - began) < seconds:
        if gone and past >= seconds / 2 and not walk.server_is_gone:
            walk.end_server()
        walk.play(rng, min(ROUND_SECONDS, max(1.0, seconds - past)), gently=walk.server_is_gone)
        settling = time.monotonic()
        walk.settle()
        row(
            f"in sync at {time.monotonic() - began:,.0f} s",
            f"after {time.monotonic() - settling:.0f} s, {len(walk.box.log):,} requests,"
            f" {walk.most_in_window} in a window",
        )
    walk.check_statuses()


if __name__ == "__main__":
    main()
