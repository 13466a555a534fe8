"""The local preview: how many frames of a camera it answers in a second, and how soon it follows a relabel."""

import statistics
from pathlib import Path

from benchmarks.harness.measure import Figure, value
from benchmarks.page import page_stores
from benchmarks.page.browser import all_pictures_there, browser, served, tab, until

FILES, RELABELLED, SECONDS = 10_000, 100, 10
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
    followed: list[float] = []
    with browser(CAMERA) as started, served(store) as server, tab(started) as page:
        page.context.grant_permissions(["camera"])
        page.goto(server.address)
        until(page, all_pictures_there())
        page.keyboard.press("w")
        page.get_by_text(f"on {FILES:,} images").wait_for()
        page.get_by_role("button", name="Start the camera").click()
        until(page, f"{RATE} > 0")
        rates = page.evaluate(RATES, SECONDS)[1:]
        page.get_by_role("button", name="Stop the camera").click()
        page.keyboard.press("Escape")
        for turn in range(times):
            page.evaluate(f"location.hash = 'text=photo+0000{turn + 2}'")
            page.locator(".place-text [role=status]", has_text=f"{RELABELLED} images").wait_for()
            page.keyboard.press("g")
            page.keyboard.press("Control+a")
            page.get_by_role("toolbar").get_by_text(f"{RELABELLED} images selected").wait_for()
            followed.append(float(page.evaluate(RELABEL)))
            server.wait_until_quiet()
            page.keyboard.press("Control+z")
            server.wait_until_quiet()
    if min(followed) < 0:
        raise RuntimeError("the preview did not follow a relabel")
    shown = statistics.median(followed) / 1000
    return [
        value(work, "frames of 640 x 480 answered in a second", statistics.median(rates), "a second", ">= 20"),
        value(work, f"follows a relabel of {RELABELLED} after", shown, "s", "<= 1", runs=times),
    ]
