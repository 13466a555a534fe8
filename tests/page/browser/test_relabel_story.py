"""The first story: open the page, see the photos, filter, relabel twenty by keyboard, undo."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.browser.conftest import CLASSES

pytestmark = pytest.mark.long


def files_of(store: Path, title: str) -> int:
    return len(list((store / title).glob("*.png")))


def test_relabel_twenty_by_keyboard(enter: Callable[..., Page], store: Path) -> None:
    page = enter()
    total = sum(CLASSES.values())
    status = page.locator(".place-text [role=status]")
    expect(status).to_have_text(f"{total} images")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    expect(page.locator(".cell[data-state=new] .badge-text").first).to_have_text("new")

    # Filter to one class with the key, and go to its images.
    page.keyboard.press("]")
    expect(status).to_have_text(f"{CLASSES['Bottle']} images")
    expect(page.get_by_role("button", name="Bottle").first).to_have_attribute("aria-current", "true")
    page.keyboard.press("g")
    expect(page.locator(".cell[data-index='0']")).to_be_focused()
    expect(page.locator(".cell[data-index='19']")).to_have_count(1)

    # Twenty images, and the hotkey of the third class.
    page.keyboard.press("Space")
    for _ in range(19):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_role("toolbar")).to_contain_text("20 images selected")
    page.keyboard.press("3")
    expect(status).to_have_text(f"{CLASSES['Bottle'] - 20} images")
    expect(page.locator(".notice")).to_contain_text("20 images moved to Can")
    assert files_of(store, "Can") == CLASSES["Can"] + 20

    page.keyboard.press("Control+z")
    expect(status).to_have_text(f"{CLASSES['Bottle']} images")
    assert files_of(store, "Can") == CLASSES["Can"]
    page.keyboard.press("Control+Shift+z")
    expect(status).to_have_text(f"{CLASSES['Bottle'] - 20} images")
    assert files_of(store, "Can") == CLASSES["Can"] + 20


@pytest.mark.usefixtures("bundled_page")
def test_relabel_in_the_page_of_a_wheel(enter: Callable[..., Page], store: Path) -> None:
    test_relabel_twenty_by_keyboard(enter, store)


def test_all_that_match_by_the_palette(enter: Callable[..., Page], store: Path) -> None:
    page = enter("#class=Can")
    status = page.locator(".place-text [role=status]")
    expect(status).to_have_text(f"{CLASSES['Can']} images")
    page.keyboard.press("Control+a")
    expect(page.get_by_role("toolbar")).to_contain_text(f"{CLASSES['Can']} images selected")
    page.keyboard.press("m")
    page.keyboard.type("Botle")
    offers = page.get_by_role("listbox", name="Offers").get_by_role("option")
    expect(offers.first).to_contain_text("Did you mean Bottle?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No image matches")).to_be_visible()
    assert files_of(store, "Bottle") == CLASSES["Bottle"] + CLASSES["Can"]


def test_an_address_is_a_bookmark(enter: Callable[..., Page]) -> None:
    page = enter("#state=new&text=photo+0&sort=name")
    expect(page.locator(".place-text [role=status]")).to_have_text("28 images")
    expect(page.get_by_role("searchbox")).to_have_value("photo 0")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    expect(page.locator(".stage img.is-shown")).to_be_visible()
    large = page.url
    heading = page.get_by_role("dialog").get_by_role("heading", level=2)
    expect(heading).not_to_have_text("")
    name = heading.inner_text()
    page.goto("about:blank")
    page.goto(large)
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text(name)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "image=" not in page.url
