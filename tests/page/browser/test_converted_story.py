"""Images that no browser shows: they are seen as they are sent, in the grid, large, and as a chosen file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.harness.other_formats import encode
from tests.page.browser.conftest import Watched

pytestmark = pytest.mark.long


@pytest.fixture
def most_images() -> int:
    return 2


def test_a_tiff_is_seen_in_the_grid_and_large_and_as_a_chosen_file(
    enter: Callable[..., Page], store: Path, tmp_path: Path, watched: Watched
) -> None:
    watched.allowed.append("422 (Unprocessable Entity)")
    data = encode(Image.new("RGB", (60, 40), (200, 30, 20)), "tiff")
    (store / "Can" / "aaa.tif").write_bytes(data)
    page = enter("#class=Can")
    expect(page.locator(".cell.has-image")).to_have_count(3)
    page.locator(".cell[data-index='0']").dblclick()
    view = page.get_by_role("dialog")
    expect(view.get_by_role("heading", name="aaa.tif")).to_be_visible()
    expect(view.locator(".stage img.is-shown")).to_have_js_property("naturalWidth", 60)
    facts = view.locator(".facts")
    expect(facts).to_contain_text("Sent asPNG or JPEG, converted from TIFF before it is sent")
    expect(facts).to_contain_text("60 \N{MULTIPLICATION SIGN} 40")
    page.keyboard.press("Escape")

    file = tmp_path / "another.tif"
    file.write_bytes(encode(Image.new("RGB", (80, 50), (20, 30, 200)), "tiff"))
    page.keyboard.press("w")
    panel = page.get_by_role("complementary", name="What would it say?")
    panel.locator("input[type=file]").set_input_files(file)
    expect(panel.locator(".predict-picture img")).to_have_js_property("naturalWidth", 80)
    half = tmp_path / "half.tif"
    half.write_bytes(data[: len(data) // 2])
    panel.locator("input[type=file]").set_input_files(half)
    expect(page.get_by_role("region", name="Messages")).to_contain_text("broken image")
    expect(panel.locator(".predict-picture img")).to_have_count(0)
