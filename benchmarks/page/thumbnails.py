"""First thumbnails of photographs of 12 megapixels, as the browser asks for them: six at a time."""

import statistics
import time
from pathlib import Path

from benchmarks.harness.measure import Figure, value
from benchmarks.page import page_stores
from benchmarks.page.browser import (
    AWAY,
    all_pictures_there,
    begin_undisturbed,
    clear_page_files,
    end_undisturbed,
    served,
    undisturbed_browser,
    until,
)

PHOTOS = 1_000
LEAST = 30
"""With so many a second it is done before the debugger comes back."""
ASK = """async (count) => {
  const { view } = await (await fetch('/api/gallery')).json();
  const { rows } = await (await fetch(`/api/gallery/rows?view=${view}&start=200&count=${count}`)).json();
  const hashes = rows.map((row) => row[4]), start = performance.now();
  const one = async () => {
    for (let hash; (hash = hashes.pop()); ) {
      const image = new Image();
      image.src = `/thumbnails/${hash}`;
      await image.decode();
    }
  };
  await Promise.all([1, 2, 3, 4, 5, 6].map(one));
  return performance.now() - start;
}"""


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    store = page_stores.make(scratch, PHOTOS, page_stores.LARGE)
    count = 600 if full else 200
    work = f"first thumbnails of {count} JPEG files of 12 megapixels"
    rates, shown = [], []
    for _ in range(times):
        clear_page_files(store)
        with undisturbed_browser() as debugged, served(store) as server:
            with debugged() as page:
                began = time.monotonic()
                page.goto(server.address)
                until(page, all_pictures_there())
                shown.append(time.monotonic() - began)
                begin_undisturbed(page, ASK, count)
            time.sleep(AWAY + count / LEAST)
            with debugged() as page:
                rates.append(count / end_undisturbed(page) * 1000)
    return [
        value(work, "thumbnails", statistics.median(rates), "a second", ">= 40", runs=times),
        value(work, "from opening until all in view are there", statistics.median(shown), "s", runs=times),
    ]
