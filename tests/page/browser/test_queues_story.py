"""Images to sort out, by keyboard alone: only one of two, another class, and a pair that is kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.page.browser.test_accessibility import NARROW, check

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("small_features")]


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Photographs that differ, a copy in another class, and one saved again in its own."""
    root = tmp_path / "store"
    for number, title in enumerate(("Bottle", "Can")):
        (root / title).mkdir(parents=True)
        for at in range(3):
            noise = Image.effect_noise((12, 9), 80 + 9 * at + number).resize((320, 240), Image.Resampling.BICUBIC)
            Image.merge("RGB", (noise, noise.rotate(9 * at), noise)).save(root / title / f"photo {at}.png")
    (root / "Can" / "copy.png").write_bytes((root / "Bottle" / "photo 0.png").read_bytes())
    Image.open(root / "Can" / "photo 1.png").resize((280, 210)).save(root / "Can" / "again.jpg")
    return root


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_groups_are_sorted_out_by_keyboard(enter: Callable[..., Page], store: Path, theme: str) -> None:
    page = enter(color_scheme=theme, bypass_csp=True)
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("q")
    queues = page.get_by_role("region", name="To sort out")
    expect(queues.get_by_role("button", name="In several classes 1 group")).to_have_attribute("aria-pressed", "true")
    tiles = queues.locator(".queue-tile")
    expect(tiles).to_have_count(2)
    check(page, "queues")
    page.keyboard.press("q")
    expect(tiles.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tiles.last).to_be_focused()
    # The copy in Can is right: the one in Bottle goes.
    page.keyboard.press("o")
    expect(queues.get_by_role("button", name="In several classes 0 groups")).to_be_visible()
    assert not (store / "Bottle" / "photo 0.png").exists() and (store / "Can" / "copy.png").exists()
    queues.get_by_role("button", name="Similar in one class 1 group").press("Enter")
    expect(tiles).to_have_count(2)
    tiles.first.press("k")
    expect(queues.get_by_role("button", name="Similar in one class 0 groups")).to_be_visible()
    assert (store / "Can" / "again.jpg").exists() and (store / "Can" / "photo 1.png").exists()
    page.get_by_role("button", name="Show them again").press("Enter")
    expect(tiles).to_have_count(2)
    tiles.first.press("1")
    expect(queues.get_by_role("button", name="Similar in two classes 1 group")).to_be_visible()
    assert (store / "Bottle" / "again.jpg").exists()
    page.set_viewport_size(NARROW)
    check(page, "queues, narrow")
