"""The memory of a watcher over many days: ``python -m benchmarks.watch.memory_over_days --days 30``.

The watcher has a simulated clock and runs a round every 15 minutes; before each round a file is added, one is removed
and one is renamed. It runs in its own process, with a sandbox in this one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from astica_sync.cli.main import run
from astica_sync.sandbox.embedded import running
from benchmarks.watch.watch_latency import agree, image, make_store, row

ROUND = 900.0
PER_DAY = int(86_400 / ROUND)
SHOWN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--files", type=int, default=1000, help="samples that are in sync at the start")
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.live is not None:
        live(options.live, int(options.days * PER_DAY))
        return
    with tempfile.TemporaryDirectory() as name, running(limit=10_000_000) as box:
        folder = Path(name)
        os.environ |= {
            "HOME": name,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "ASTICA_TRAIN_URL": box.url,
            "ASTICA_DETECT_URL": box.url,
            "ASTICA_API_KEY": box.key,
            "ASTICA_LIMIT": "1000000",
        }
        store = make_store(folder / "store", options.files)
        model_id = box.add_model("A benchmark")
        assert run(["init", str(store), "--model", str(model_id)]) == 0
        agree(store, box, model_id)
        command = [
            sys.executable,
            "-m",
            "benchmarks.watch.memory_over_days",
            "--live",
            str(store),
            "--days",
            str(options.days),
        ]
        subprocess.run(command, check=True)
        row("requests", f"{len(box.log):,}")


def live(store: Path, rounds: int) -> None:
    """Runs the watcher on the real file system and network; the clock is moved forward after each round."""
    import contextlib
    from collections.abc import Iterator

    from astica_sync.clock import SystemClock, Wake
    from astica_sync.core.watch.watch_status import WatchState
    from astica_sync.local.layout import Layout
    from astica_sync.open_session import open_session
    from astica_sync.sync.progress import ProgressListener
    from astica_sync.sync.watch.store_watcher import WatchedStore, WatchOptions
    from astica_sync.sync.watch.watcher_lifecycle import StoreOpener, WatcherLifecycle, WatchSystem

    offset = [0.0]

    class SteppedClock(SystemClock):
        def now(self) -> float:
            return super().now() + offset[0]

        def ticks(self) -> float:
            return super().ticks() + offset[0]

    clock = SteppedClock()

    @contextlib.contextmanager
    def opener() -> Iterator[WatchedStore]:
        with open_session(store, ProgressListener(), clock=clock) as opened:
            yield WatchedStore(opened.session, WatchOptions(quiet_seconds=0.05, observe_every=ROUND))

    wake = Wake()
    lifecycle = WatcherLifecycle(
        Layout(store),
        StoreOpener(opener, lambda: 0),
        wake=wake,
        notify=lambda status, text: print(status.state, text),
        system=WatchSystem(ticks=clock.ticks, wall=lambda: time.time() + offset[0]),
    )

    def run_until_idle(uploaded: int) -> None:
        while True:
            pause = lifecycle.step()
            if pause > 0 and lifecycle.status.uploaded >= uploaded and lifecycle.status.state is WatchState.IDLE:
                return
            wake.wait(min(max(pause, 0.0), 0.05))

    run_until_idle(0)
    folder = store / "class 007"
    for number in range(rounds):
        image(folder / f"day {number}.png", 5_000_000 + number)
        run_until_idle(number + 1)
        (folder / f"day {number}.png").rename(folder / f"day {number} renamed.png")
        if number >= SHOWN:
            (folder / f"day {number - SHOWN} renamed.png").unlink()
        offset[0] += ROUND
        run_until_idle(number + 1)
        if number % max(1, rounds // SHOWN) == 0 or number == rounds - 1:
            lines = Path("/proc/self/status").read_text().splitlines()
            held = int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
            done = lifecycle.status
            row(
                f"memory after {number / PER_DAY:.1f} days",
                f"{held:.1f} MB; {done.uploaded} uploaded, {done.removed} removed",
            )
    lifecycle.close()


if __name__ == "__main__":
    main()
