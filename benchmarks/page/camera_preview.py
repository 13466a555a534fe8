"""The local preview: how many frames of a camera it answers in a second, and how soon it follows a relabel."""

import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.measure import Figure, value
from benchmarks.page import page_stores
from benchmarks.page.browser import (
    AWAY,
    Served,
    all_pictures_there,
    begin_undisturbed,
    end_undisturbed,
    served,
    undisturbed_browser,
    until,
)

FILES, RELABELLED, SECONDS, SEARCH = 10_000, 100, 10, 60
DRAWN = 2_500
"""Else nearly all images are the same picture, and the search for near duplicates beside it has no end."""
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
"""One that Chromium draws: 640 x 480, 30 frames a second."""
RATE = "Number(document.querySelector('.predict')?.innerText.match(/(\\d+) frames a second/)?.[1] ?? 0)"
RATES = f"""async (seconds) => {{
  const found = [];
  for (let at = 0; at < seconds; at += 1) {{
    await new Promise((go) => setTimeout(go, 1000));
    found.push({RATE});
  }}
  return found;
}}"""
RELABEL = """async () => {
  const before = (await (await fetch('/api/preview')).json()).revision;
  const start = performance.now();
  const target = document.querySelector('.grid [tabindex="0"]') ?? document.body;
  target.dispatchEvent(new KeyboardEvent('keydown', { key: '5', bubbles: true, cancelable: true }));
  for (;;) {
    const state = await (await fetch('/api/preview')).json();
    if (state.ready && state.revision > before) return performance.now() - start;
    if (performance.now() - start > 60_000) return -1;
    await new Promise(requestAnimationFrame);
  }
}"""


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    """Of 10,000 images; ``full`` makes no difference."""
    store = page_stores.make(scratch, FILES, drawn=DRAWN)
    work = f"local preview trained on {FILES:,} images"
    with undisturbed_browser(CAMERA) as debugged, served(store) as server:
        with debugged() as page:
            page.goto(server.address)
            until(page, all_pictures_there())
            page.keyboard.press("w")
            page.get_by_text(f"on {FILES:,} images").wait_for()
            # The panel searches the store once, for near duplicates and others; with many copies it takes minutes.
            server.wait_until_quiet(SEARCH)
            page.get_by_role("button", name="Start the camera").click()
            until(page, f"{RATE} > 0")
            begin_undisturbed(page, RATES, SECONDS)
        time.sleep(AWAY + SECONDS + 1)
        with debugged() as page:
            rates = end_undisturbed(page)[1:]
            page.get_by_role("button", name="Stop the camera").click()
            page.keyboard.press("Escape")
            followed = [_follow(page, server, turn) for turn in range(times)]
    if min(followed) < 0:
        raise RuntimeError("the preview did not follow a relabel")
    shown = statistics.median(followed) / 1000
    return [
        value(work, "frames of 640 x 480 answered in a second", statistics.median(rates), "a second", ">= 20"),
        value(work, f"follows a relabel of {RELABELLED} after", shown, "s", "<= 1", runs=times),
    ]


def _follow(page: Any, server: Served, turn: int) -> float:
    """Milliseconds until the preview follows a relabel, which is undone."""
    page.evaluate(f"location.hash = 'text=photo+0000{turn + 2}'")
    page.locator(".place-text [role=status]", has_text=f"{RELABELLED} images").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("Control+a")
    page.get_by_role("toolbar").get_by_text(f"{RELABELLED} images selected").wait_for()
    took = float(page.evaluate(RELABEL))
    server.wait_until_quiet()
    page.keyboard.press("Control+z")
    server.wait_until_quiet()
    return took
