"""Latency and cost of a watcher: ``python -m benchmarks.watch.watch_latency --files 100000 --flood 10000``.

The watcher runs in its own process on a store that is in sync, with a sandbox in this process. Measured are the time
from closing a file to its accepted upload, processor time and memory while idle, and the time for many files that are
copied into the store together, with the number of times each was hashed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from astica_sync.cli.main import run
from astica_sync.clock import SystemClock
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.layout import Layout
from astica_sync.local.scan.scanner import scan_store
from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sync.plan.find_status import UIDS_PROVEN

CLASSES = 100
COUNTING = """
import atexit, collections, os, sys
from astica_sync.local.scan.parallel import hash_pool

counts, hash = collections.Counter(), hash_pool.HashPool.hash

def counted(self, paths):
    counts.update(map(os.fsencode, paths))
    return hash(self, paths)

hash_pool.HashPool.hash = counted
atexit.register(lambda: open(os.environ["HASHED"], "wb").writelines(b"%d %s\\n" % (n, p) for p, n in counts.items()))
from astica_sync.cli.main import main
main()
"""
"""The program with a counter: at its end it writes how many times it hashed each file."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="samples that are in sync at the start")
    parser.add_argument("--flood", type=int, default=10_000, help="files that are copied into the store together")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to measure the idle watcher")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(limit=10_000_000) as box:
        measure(Path(folder), box, options.files, options.flood, options.idle)


def measure(folder: Path, box: RunningSandbox, files: int, flood: int, idle: float) -> None:
    model_id = box.add_model("A benchmark")
    for name in [name for name in os.environ if name.startswith("ASTICA_")]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "ASTICA_TRAIN_URL": box.url,
        "ASTICA_DETECT_URL": box.url,
        "ASTICA_API_KEY": box.key,
        "ASTICA_LIMIT": "1000000",
    }
    store = make_store(folder / "store", files)
    assert run(["init", str(store), "--model", str(model_id)]) == 0
    agree(store, box, model_id)
    began = time.monotonic()
    os.environ["HASHED"] = str(folder / "hashed")
    command = [sys.executable, "-c", COUNTING, "watch", "--json", str(store)]
    with (folder / "out").open("w") as out, subprocess.Popen(command, stdout=out) as watcher:
        try:
            state = store / ".astica-sync" / "watch.json"
            wait(lambda: state.exists() and '"state": "idle"' in state.read_text())
            row("start to idle", f"{time.monotonic() - began:.2f} s")
            latencies = [drop(store, box, number) for number in range(30)]
            row("closed file to accepted upload, median", f"{statistics.median(latencies):.3f} s")
            row("closed file to accepted upload, worst of 30", f"{max(latencies):.3f} s")
            before = cpu_seconds(watcher.pid)
            time.sleep(idle)
            row("processor while idle, share of one core", f"{(cpu_seconds(watcher.pid) - before) / idle:.3%}")
            row("memory while idle", f"{memory(watcher.pid, 'VmRSS'):.0f} MB")
            row("peak memory", f"{memory(watcher.pid, 'VmHWM'):.0f} MB")
            pour(store, box, flood)
            row("memory after the flood", f"{memory(watcher.pid, 'VmRSS'):.0f} MB")
        finally:
            watcher.terminate()
    hashed = [int(line.split(b" ")[0]) for line in (folder / "hashed").read_bytes().splitlines() if b"/flood " in line]
    row("of these hashed once, more than once", f"{hashed.count(1):,}, {len(hashed) - hashed.count(1):,}")


def make_store(store: Path, files: int) -> Path:
    for number in range(files):
        path = store / f"class {number % CLASSES:03}" / f"{number:07}.png"
        if number < CLASSES:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + number.to_bytes(4))
    return store


def agree(store: Path, box: RunningSandbox, model_id: int) -> None:
    """Brings the sandbox and the journal in sync with the store, without a request for each file."""
    layout = Layout(store)
    with Index(layout.index_db) as index, Journal(layout.journal_db, "benchmark") as journal:
        scan_store(layout, index, clock=SystemClock())
        samples = list(index.local_samples(model_id))
        for title in sorted({sample.class_title for sample in samples}):
            box.add_many(model_id, title, [entry.uid for entry in samples if entry.class_title == title], b"an image")
        journal.agree([(sample.uid, sample.class_title, sample.paths[0]) for sample in samples])
        journal.set_meta(UIDS_PROVEN, True)


def image(path: Path, number: int) -> None:
    picture = Image.new("RGB", (16, 16), (number % 256, number // 256 % 256, 77))
    picture.putpixel((number % 16, 3), (255, 0, number % 251))
    picture.save(path)


def drop(store: Path, box: RunningSandbox, number: int) -> float:
    """Writes one file; returns the seconds until its upload is accepted."""
    box.clear_log()
    image(store / "class 007" / f"dropped {number}.png", number)
    began = time.monotonic()
    wait(lambda: any(request.outcome == "ok" for request in box.requests_of("upload")), every=0.002)
    took = time.monotonic() - began
    time.sleep(0.3)
    return took


def pour(store: Path, box: RunningSandbox, flood: int) -> None:
    aside = store.parent / "flood"
    aside.mkdir()
    for number in range(flood):
        image(aside / f"flood {number}.png", 100_000 + number)
    box.clear_log()
    began = time.monotonic()
    shutil.copytree(aside, store / "Flood")
    wait(lambda: sum(request.done for request in box.requests_of("upload")) >= flood, every=0.5)
    took = time.monotonic() - began
    times = Counter(request.sent["uid"] for request in box.requests_of("upload"))
    row(f"{flood:,} files together: until all are uploaded", f"{took:.0f} s, {flood / took:.0f} a second")
    row("of these not uploaded, uploaded twice", f"{flood - len(times)}, {sum(count > 1 for count in times.values())}")


def cpu_seconds(pid: int) -> float:
    # Ticks of 10 ms are too coarse for an idle process.
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def memory(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def wait(true: Callable[[], bool], every: float = 0.05) -> None:
    give_up = time.monotonic() + 1200
    while not true():
        if time.monotonic() > give_up:
            raise TimeoutError("it did not happen within 20 minutes")
        time.sleep(every)


def row(what: str, value: str) -> None:
    print(f"{what:<52}{value}", flush=True)


if __name__ == "__main__":
    main()
