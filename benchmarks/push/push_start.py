"""The time to the first upload of a push with many samples, compared with the status of the same store."""

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from astica_sync.sandbox.embedded import RunningSandbox, running
from benchmarks.harness.measure import Figure, run, start, value
from benchmarks.harness.store_trees import MODEL, bind
from benchmarks.local import store_status
from benchmarks.local.status_with_watcher import online

PATIENCE_SECONDS = 600


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    files = 1_000_000 if full else 100_000
    store = store_status.make(scratch, files)
    work = f"push start, {files:,} samples waiting"
    status, pushes = [], []
    for turn in range(times + 1):
        cost = run(store_status.status(store))
        with waiting(store) as box:
            seconds = first_upload(store, box)
        if turn:
            status.append(cost.wall)
            pushes.append(seconds)
    late = statistics.median(push - look for push, look in zip(pushes, status, strict=True))
    shown = f"{statistics.median(pushes):.2f} s to the first upload, the status {statistics.median(status):.2f} s"
    return [value(work, "first upload after the no-change status", late, "s", "<= 1.0", shown, times)]


def first_upload(store: Path, box: RunningSandbox) -> float:
    """Seconds from the start of a push until its first upload arrives. The push is then killed."""
    command = online(store, box, "push")
    began = time.monotonic()
    with start(command, stderr=subprocess.PIPE) as process:
        try:
            while not (seen := box.requests_of("upload")):
                if process.poll() is not None or time.monotonic() > began + PATIENCE_SECONDS:
                    assert process.stderr is not None
                    raise RuntimeError(f"no upload arrived: {process.stderr.read()}")
                time.sleep(0.02)
            # The sandbox adds the monotonic clock to the wall clock at its start.
            return seen[0].time - (time.time() - time.monotonic()) - began
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def waiting(store: Path) -> Iterator[RunningSandbox]:
    """The same files as a store of an empty model: all files are in the index, none in the journal."""
    state, aside = store / ".astica-sync", store.parent / store_status.ASIDE
    with running(limit=10**9) as box:
        assert box.add_model("A model") == MODEL
        state.rename(aside)
        try:
            layout = bind(store, box.url)
            for part in aside.glob("index.db*"):
                shutil.copy2(part, layout.state / part.name)
            yield box
        finally:
            shutil.rmtree(state)
            aside.rename(state)
