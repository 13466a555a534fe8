"""A relabel of a thousand selected images by one key: when it is shown, when it is done on the disk, and its undo."""

import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.measure import Figure, value
from benchmarks.page import page_stores
from benchmarks.page.browser import Served, all_pictures_there, browser, served, tab, until

SELECTED = 1_000
PRESS = """async ([key, control]) => {
  const start = performance.now();
  const target = document.activeElement ?? document.body;
  target.dispatchEvent(new KeyboardEvent('keydown', { key, ctrlKey: control, bubbles: true, cancelable: true }));
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    files, text = (100_000, "photo 0012") if full else (10_000, "photo 0001")
    store = page_stores.make(scratch, files)
    target = store / "class 00"
    work = f"relabel of {SELECTED:,} among {files:,} images"
    shown, done, undone = [], [], []
    with browser() as started, served(store) as server, tab(started) as page:
        page.goto(server.address)
        until(page, all_pictures_there())
        server.wait_until_quiet()
        page.goto(f"{page.url.partition('#')[0]}#text={text.replace(' ', '+')}")
        before = _count(target)
        # Those that are in the class already stay.
        after = before + SELECTED - SELECTED // page_stores.CLASSES
        for turn in range(times + 1):
            page.locator(".place-text [role=status]", has_text=f"{SELECTED:,} images").wait_for()
            page.keyboard.press("Control+a")
            page.get_by_role("toolbar").get_by_text(f"{SELECTED:,} images selected").wait_for()
            began = time.monotonic()
            seen = page.evaluate(PRESS, ["1", False])
            moved = _until_count(target, after, began)
            _settle(page, server)
            began = time.monotonic()
            page.evaluate(PRESS, ["z", True])
            back = _until_count(target, before, began)
            _settle(page, server)
            if turn:
                shown.append(seen)
                done.append(moved)
                undone.append(back)
    return [
        value(work, "shown after", statistics.median(shown), "ms", "<= 100", runs=times),
        value(work, "done on the disk after", statistics.median(done), "s", "<= 2", runs=times),
        value(work, "undone on the disk after", statistics.median(undone), "s", "<= 2", runs=times),
    ]


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def _until_count(folder: Path, wanted: int, began: float) -> float:
    """Seconds until the folder has so many files."""
    while _count(folder) != wanted:
        if time.monotonic() > began + 120:
            raise RuntimeError(f"{_count(folder)} files in {folder}, not {wanted}")
        time.sleep(0.005)
    return time.monotonic() - began


def _settle(page: Any, server: Served) -> None:
    server.wait_until_quiet()
    until(page, "!document.querySelector('.cell.is-leaving')")
