"""How soon the page shows its first pictures, and what memory that takes, before and after a change."""

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
CHANGED = 1_000
MOVE = """async (count) => {
  const ask = async (address, body) => (await fetch(address, body && {
    method: 'POST',
    headers: { 'X-Astica-Page': '1', 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })).json();
  const { view } = await ask('/api/gallery');
  const { rows } = await ask(`/api/gallery/rows?view=${view}&start=0&count=${count}`);
  const { title } = (await ask('/api/store')).classes.at(-1);
  const items = rows.map(([id, , , , content]) => [id, content]);
  return (await ask('/api/changes', { kind: 'move', items, to: title })).done;
}"""
UNDO = "() => fetch('/api/undo', { method: 'POST', headers: { 'X-Astica-Page': '1' } })"


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
        changed = statistics.median(_change(store) for _ in range(times))
        what = f"memory of the command, once {CHANGED:,} images were moved"
        found.append(value(work, what, changed, "MB", "<= 200", runs=times))
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


def _change(store: Path) -> float:
    """The most MB that the command takes over an idle one until a change of many images is shown. It is undone then."""
    with browser() as started, tab(started) as page, served(store) as server:
        idle = server.memory_mb("Rss")
        page.goto(server.address)
        until(page, all_pictures_there())
        server.wait_until_quiet()
        moved = page.evaluate(MOVE, CHANGED)
        if moved != CHANGED:
            raise RuntimeError(f"{moved} of {CHANGED} images were moved")
        server.wait_until_quiet()
        peak = server.peak_mb() - idle
        page.evaluate(UNDO)
        server.wait_until_quiet()
        return peak
