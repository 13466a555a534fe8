"""Frames while the grid scrolls, and how soon the thumbnails in view are there."""

import statistics
from pathlib import Path
from typing import Any

from benchmarks.harness.measure import Figure, value
from benchmarks.page import page_stores
from benchmarks.page.browser import all_pictures_there, browser, quantile, served, tab, until

SCROLL = """async ([step, frames]) => {
  const grid = document.querySelector('.grid'), times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let at = 0; at < frames; at += 1) {
    grid.scrollTop += step;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""
READING, FLYING = 30, 1_600
"""Pixels of one frame: what a wheel does; and twenty thousand lines in half a minute."""
FRAME = "await new Promise(requestAnimationFrame)"
TOP = "document.querySelector('.grid').scrollTop = 0"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    files = 100_000 if full else 10_000
    store = page_stores.make(scratch, files)
    work = f"scrolling {files:,} images"
    found: dict[str, list[float]] = {"new": [], "loaded": [], "fast": [], "idle": []}
    settled: list[float] = []
    with browser() as started, served(store) as server, tab(started) as page:
        page.goto(server.address)
        until(page, all_pictures_there())
        found["idle"] += scroll(page, 0, 120)
        for turn in range(times):
            page.evaluate(f"document.querySelector('.grid').scrollTop = {30_000 + turn * 20_000}")
            until(page, all_pictures_there())
            found["new"].append(quantile(scroll(page, READING, 300), 0.95))
            until(page, all_pictures_there())
            scroll(page, -READING, 300)
            found["loaded"].append(quantile(scroll(page, READING, 300), 0.95))
            for place in (30_000 + turn * 20_000, 33_000 + turn * 20_000):
                jump = f"document.querySelector('.grid').scrollTop = {place}; {FRAME}"
                settled.append(until(page, all_pictures_there(), first=jump))
        page.evaluate(TOP)
        found["fast"].append(quantile(scroll(page, FLYING, 900), 0.95))
    note = f"{quantile(found['idle'], 0.95):.1f} ms when nothing happens"

    def median(name: str) -> float:
        return statistics.median(found[name])

    return [
        value(work, "95th percentile of a frame, thumbnails loaded", median("loaded"), "ms", "<= 20", note, times),
        value(work, "95th percentile of a frame, new thumbnails", median("new"), "ms", "<= 20", note, times),
        value(work, "95th percentile of a frame, 20,000 lines at once", median("fast"), "ms", "<= 20", note, 1),
        value(
            work,
            "thumbnails in view after a jump, once cached",
            statistics.median(settled),
            "ms",
            "<= 150",
            runs=2 * times,
        ),
    ]


def scroll(page: Any, step: int, frames: int) -> list[float]:
    """The milliseconds of each frame."""
    return list(page.evaluate(SCROLL, [step, frames]))
