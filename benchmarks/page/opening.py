"""How soon the page shows its first pictures, and what memory that takes."""

import statistics
import time
from pathlib import Path

from benchmarks.harness.measure import Figure, value
from benchmarks.page import page_stores
from benchmarks.page.browser import (
    PICTURES,
    all_pictures_there,
    browser,
    browser_mb,
    clear_page_files,
    served,
    tab,
    tab_mb,
    until,
)

SOMETHING = "document.querySelector('.looking, .cell:not([hidden])')"
"""The first images, or how far the first look at the store is."""
FIRST = f"document.querySelector('{PICTURES}')"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    """Of 100,000 images, and of a million as well where ``full``."""
    found = []
    for files, limit in ((100_000, "<= 1"), *(((1_000_000, "<= 2"),) if full else ())):
        store = page_stores.make(scratch, files)
        work = f"opening {files:,} images"
        clear_page_files(store)
        something, shown, *_ = _open(store)
        found.append(value(work, "the first time: something useful", something, "s"))
        found.append(value(work, "the first time: first pictures", shown, "s"))
        turns = [_open(store) for _ in range(times)]
        shown, server, showing, browsing = (statistics.median(column) for column in list(zip(*turns, strict=True))[1:])
        found.append(value(work, "first picture after the address is opened", shown, "s", limit, runs=times))
        found.append(value(work, "memory of the command, over one without images", server, "MB", "<= 200", runs=times))
        note = f"{browsing:.0f} MB with all processes of the browser"
        found.append(value(work, "memory of the browser's tab", showing, "MB", "<= 250", note, runs=times))
    return found


def _open(store: Path) -> tuple[float, float, float, float, float]:
    """Seconds to something useful and to the first picture; the most MB of the command, those of the tab and those of
    the browser once the store was looked at."""
    with browser() as started, tab(started) as page, served(store) as server:
        idle = server.memory_mb("Rss")
        began = time.monotonic()
        page.goto(server.address, wait_until="commit")
        until(page, SOMETHING)
        something = time.monotonic() - began
        until(page, FIRST)
        shown = time.monotonic() - began
        until(page, all_pictures_there())
        time.sleep(1)
        server.wait_until_quiet()
        return something, shown, server.peak_mb() - idle, tab_mb(), browser_mb()
