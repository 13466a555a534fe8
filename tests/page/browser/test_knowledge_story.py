"""What models know: the orders by suspicion, what looks like an image, what versions said of it, and their mistakes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.harness.shell import Shell
from tests.page.browser.test_accessibility import check

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("small_features")]


@pytest.fixture
def most_images() -> int:
    return 8


@pytest.fixture
def store(store: Path, shell: Shell) -> Path:
    """A store whose version was evaluated on a held-out folder; then a held-out image was put into another class."""
    held_out = store.parent / "held out"
    assert shell("split", "--store", store, "--to", held_out, "--share", "0.3", "--yes").code == 0
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    assert shell("evaluate", held_out, "--store", store).code == 0
    next(iter(sorted((held_out / "Can").glob("*.png")))).rename(held_out / "Bottle" / "misplaced.png")
    next(iter(sorted((store / "Can").glob("*.png")))).rename(store / "Bottle" / "wrong.png")
    return store


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_mistakes_and_what_is_known_of_an_image(enter: Callable[..., Page], theme: str) -> None:
    page = enter(color_scheme=theme, bypass_csp=True)
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("v")
    panel = page.get_by_role("complementary", name="Versions")
    panel.get_by_role("button", name="What it takes for what").press("Enter")
    cell = panel.get_by_role("button", name="1 image of Bottle, said Can")
    expect(cell).to_be_visible()
    check(page, "mistakes")
    cell.press("Enter")
    total = page.get_by_role("banner").get_by_role("status")
    expect(total).to_have_text("1 image")
    expect(page.get_by_role("group", name="Filters")).to_contain_text("@1 says Can")
    expect(cell).to_have_attribute("aria-pressed", "true")
    assert "said=" in page.url
    page.keyboard.press("v")
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    details = page.get_by_role("complementary", name="Details")
    expect(details.get_by_role("region", name="What the versions say")).to_contain_text("not trained on it")
    expect(details.locator(".said-list .is-other")).to_contain_text("Can")
    similar = details.get_by_role("region", name="Looks like").get_by_role("button")
    expect(similar).to_have_count(12)
    check(page, "large with what is known")
    similar.first.press("Enter")
    expect(page.get_by_role("dialog", name="misplaced")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("Show all images")
    page.keyboard.press("Enter")
    page.get_by_label("Order", exact=True).select_option("suspicion")
    expect(page.locator(".cell[data-index='0']")).to_have_accessible_name("wrong.png, class Bottle, new")
    assert "sort=suspicion" in page.url and "order=desc" in page.url
    check(page, "suspicion")
