"""First thumbnails of photographs of 12 megapixels, as the browser asks for them: six at a time."""

import statistics
import time
from pathlib import Path

from benchmarks.harness.measure import Figure, value
from benchmarks.page import page_stores
from benchmarks.page.browser import all_pictures_there, browser, clear_page_files, served, tab, until

PHOTOS = 1_000
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
        with browser() as started, served(store) as server, tab(started) as page:
            began = time.monotonic()
            page.goto(server.address)
            until(page, all_pictures_there())
            shown.append(time.monotonic() - began)
            rates.append(count / page.evaluate(ASK, count) * 1000)
    return [
        value(work, "thumbnails", statistics.median(rates), "a second", ">= 40", runs=times),
        value(work, "from opening until all in view are there", statistics.median(shown), "s", runs=times),
    ]
