"""axe finds no violation on any view, in both themes, on a wide and on a narrow screen."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.long

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def check(page: Page, view: str) -> None:
    # Without preloading: it would look for the style sheets that another one imports at the wrong address.
    page.wait_for_function("() => document.getAnimations().every((one) => one.playState !== 'running')")
    found: Mapping[str, Any] = Axe().run(page, options={"preload": False}).response
    problems = [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
    assert problems == [], f"{view}: {problems}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_view_has_a_violation(enter: Callable[..., Page], theme: str, size: dict[str, int]) -> None:
    page = enter(color_scheme=theme, viewport=size, bypass_csp=True)
    expect(page.locator(".cell.has-image").first).to_be_visible()
    check(page, "gallery")
    page.keyboard.press("g")
    page.keyboard.press("Space")
    expect(page.get_by_role("toolbar")).to_be_visible()
    check(page, "selection")
    page.keyboard.press("Control+k")
    check(page, "palette")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    check(page, "keys")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.get_by_role("complementary")).to_be_visible()
    check(page, "push")
    page.keyboard.press("p")
    if size is NARROW:
        page.get_by_role("button", name="Classes and states").click()
    page.get_by_role("button", name="Rename, merge or change the key of Can").click()
    check(page, "class")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    expect(page.locator(".stage img.is-shown")).to_be_visible()
    check(page, "large")
    page.keyboard.press("Escape")
    for key, name in (("v", "Versions"), ("w", "What would it say?")):
        page.keyboard.press(key)
        expect(page.get_by_role("complementary", name=name)).to_be_visible()
        check(page, name)
        page.keyboard.press(key)
    page.get_by_role("button", name="New class").first.click() if size is WIDE else page.keyboard.press("Control+k")
    check(page, "new class")
    page.keyboard.press("Escape")
    page.evaluate("import('/static/js/state/app_state.js').then((state) => (state.looking.value = 1234))")
    expect(page.get_by_role("progressbar", name="Looking at the store")).to_be_visible()
    check(page, "a look at a large store")
    page.get_by_role("searchbox").fill("nothing has this name")
    expect(page.get_by_text("No image matches")).to_be_visible()
    check(page, "empty")
