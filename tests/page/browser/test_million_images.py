"""A million images scroll: the answers about rows are made up here, so that no million files are needed."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

pytestmark = pytest.mark.long
MILLION = 1_000_000
TALLEST = 7_000_000
PICTURE = Path(__file__).parents[3] / "fixtures" / "store" / "Bottle" / "a.png"
IN_SIGHT = """() => {
  const edge = document.querySelector('.grid').getBoundingClientRect();
  const cells = [...document.querySelectorAll('.cell:not([hidden])')].filter((cell) => {
    const box = cell.getBoundingClientRect();
    return box.bottom > edge.top && box.top < edge.bottom;
  });
  return cells.map((cell) => ({
    index: Number(cell.dataset.index), top: cell.getBoundingClientRect().top, known: cell.hasAttribute('aria-label'),
  }));
}"""


def answer_gallery(route: Route) -> None:
    third = MILLION // 4
    groups = [
        {"label": "Bottle", "start": 0, "count": third},
        {"label": "Büchse", "start": third, "count": third},
        {"label": "Can", "start": 2 * third, "count": MILLION - 2 * third},
    ]
    counts = {"by_class": {one["label"]: one["count"] for one in groups}, "by_state": {"new": MILLION}}
    data = {"view": "made-up", "revision": 1, "total": MILLION, "groups": groups, "counts": counts}
    route.fulfill(json=data)


def answer_rows(route: Route) -> None:
    query = parse_qs(urlsplit(route.request.url).query)
    start, count = int(query["start"][0]), int(query["count"][0])
    rows = [[f"{at:016x}", 0, 1, f"{at}.png", f"{at:032x}", 1, 1] for at in range(start, min(start + count, MILLION))]
    route.fulfill(body=json.dumps({"start": start, "rows": rows}), content_type="application/json")


@pytest.fixture
def gallery(enter: Callable[..., Page]) -> Page:
    page = enter()
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.route("**/api/gallery?**", answer_gallery)
    page.route("**/api/gallery/rows?**", answer_rows)
    page.route("**/thumbnails/*", lambda route: route.fulfill(path=PICTURE))
    page.keyboard.press("]")
    expect(page.locator(".place-text [role=status]")).to_have_text("1,000,000 images")
    return page


def in_sight(page: Page) -> list[dict[str, float]]:
    return [one for one in page.evaluate(IN_SIGHT) if one["known"]]


def test_the_ends_are_reached_by_keys(gallery: Page) -> None:
    gallery.keyboard.press("g")
    gallery.keyboard.press("Control+End")
    last = gallery.locator(f".cell[data-index='{MILLION - 1}']")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport(ratio=1)
    assert gallery.evaluate("document.querySelector('.grid-spacer').offsetHeight") < TALLEST
    gallery.keyboard.press("ArrowLeft")
    expect(gallery.locator(f".cell[data-index='{MILLION - 2}']")).to_be_focused()
    gallery.keyboard.press("Control+Home")
    expect(gallery.locator(".cell[data-index='0']")).to_be_focused()
    expect(gallery.locator(".cell[data-index='0']")).to_be_in_viewport(ratio=1)
    gallery.keyboard.press("Control+a")
    expect(gallery.get_by_role("toolbar")).to_contain_text("1,000,000 images selected")


def until(condition: str) -> str:
    """A script that is true as soon as an image in sight meets the condition. The page's policy allows no ``eval``,
    which Playwright's own waiting for a script needs."""
    return f"""async ([index, top]) => {{
      for (let frame = 0; frame < 2000; frame += 1) {{
        if (({IN_SIGHT})().some((one) => {condition})) return true;
        await new Promise(requestAnimationFrame);
      }}
      return false;
    }}"""


def test_a_small_movement_is_exact_and_a_long_one_is_in_proportion(gallery: Page) -> None:
    scroller = gallery.locator(".grid")
    scroller.evaluate("(grid) => { grid.scrollTop = (grid.scrollHeight - grid.clientHeight) / 2 }")
    assert gallery.evaluate(until("one.known && one.index >= 500000 && one.index < 500500"), [])
    before = {one["index"]: one["top"] for one in in_sight(gallery)}
    scroller.evaluate("(grid) => { grid.scrollTop += 120 }")
    moved = list(next((index, top) for index, top in before.items() if top > 400))
    assert gallery.evaluate(until("one.index === index && Math.abs(top - 120 - one.top) < 1.5"), moved)
    # The rail jumps to a class.
    gallery.get_by_role("navigation", name="Jump to a class").get_by_role("button", name="Büchse").click()
    expect(gallery.locator(".cell[data-index='250000']")).to_be_in_viewport(ratio=1)


def test_at_most_six_thumbnails_are_under_way_and_those_out_of_sight_are_cancelled(gallery: Page) -> None:
    started, cancelled, asked = list[str](), list[str](), list[str]()

    def counts(seen: list[str], most: int) -> Callable[[Request], bool]:
        def note(request: Request) -> bool:
            if "/thumbnails/" in request.url:
                seen.append(request.url)
            return len(seen) >= most

        return note

    expect(gallery.locator(".cell.has-image").first).to_be_visible()
    expect(gallery.locator(".cell:not([hidden]):not(.has-image)")).to_have_count(0)
    gallery.unroute("**/thumbnails/*")
    gallery.route("**/thumbnails/*", lambda route: asked.append(route.request.url))
    with gallery.expect_event("request", counts(started, 6)):
        gallery.locator(".grid").evaluate("(grid) => { grid.scrollTop = 2_000_000 }")
    # Six are not answered, so no other one is asked for until these are out of sight.
    expect(gallery.locator(".cell:not([hidden])[aria-label]").nth(12)).to_be_attached()
    assert sorted(asked) == sorted(started)
    assert len(started) == 6
    with gallery.expect_event("requestfailed", counts(cancelled, 6)):
        gallery.locator(".grid").evaluate("(grid) => { grid.scrollTop = 4_000_000 }")
    assert set(cancelled) == set(started)


FLIGHT = """async (frames) => {
  const grid = document.querySelector('.grid');
  for (let at = 0; at < frames; at += 1) {
    grid.scrollTop += 2 * grid.clientHeight;
    await new Promise(requestAnimationFrame);
  }
}"""


def test_what_flies_past_is_not_asked_for_and_where_the_flight_ends_is_shown(gallery: Page) -> None:
    expect(gallery.locator(".cell:not([hidden]):not(.has-image)")).to_have_count(0)
    asked = list[str]()
    gallery.on("request", lambda request: asked.append(urlsplit(request.url).path))
    gallery.evaluate(FLIGHT, 60)
    during = [path for path in asked if path.startswith("/thumbnails/") or path.endswith("/rows")]
    # Those of the first leap, which alone is not known to be a flight.
    assert len(during) < 20
    expect(gallery.locator(".cell:not([hidden]):not(.has-image)")).to_have_count(0)
    expect(gallery.locator(".cell.is-empty:not([hidden])")).to_have_count(0)
