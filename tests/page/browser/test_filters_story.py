"""Filters by split, problem and version: set in the side, shown above the images, bookmarked, and by keyboard alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.harness.shell import Shell
from tests.page.browser.test_accessibility import check

pytestmark = pytest.mark.long


@pytest.fixture
def most_images() -> int:
    return 8


@pytest.fixture
def store(store: Path, shell: Shell) -> Path:
    """A store with a version, a held-out folder beside it, a change since, and a problem."""
    held_out = store.parent / "held out"
    assert shell("split", "--store", store, "--to", held_out, "--share", "0.3", "--yes").code == 0
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    next(iter(sorted((store / "Can").glob("*.png")))).rename(store / "Bottle" / "moved.png")
    (store / "Can" / "empty.png").write_bytes(b"")
    return store


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_split_problem_and_version(enter: Callable[..., Page], theme: str) -> None:
    page = enter(color_scheme=theme, bypass_csp=True)
    side = page.get_by_role("navigation")
    total = page.get_by_role("banner").get_by_role("status")
    expect(side.get_by_role("button", name="held out")).to_be_visible()
    side.get_by_role("button", name="held out").click()
    expect(page.get_by_role("group", name="Filters")).to_contain_text("held out")
    expect(page.locator(".cell .badge-text").first).to_have_text("held out")
    check(page, "held out")
    assert "split=held-out" in page.url
    page.get_by_role("button", name="Remove the filter: held out").click()
    side.get_by_role("button", name="empty file").click()
    expect(total).to_have_text("1 image")
    side.get_by_role("button", name="empty file").click()
    side.get_by_role("button", name="changed since").click()
    # The moved image, in its new class and as what it was.
    expect(total).to_have_text("2 images")
    expect(page.get_by_role("group", name="Filters")).to_contain_text("changed since @1")
    check(page, "changed since")
    page.reload()
    expect(total).to_have_text("2 images")
    # The same by keyboard.
    page.keyboard.press("Control+k")
    page.keyboard.type("held out")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+k")
    page.keyboard.type("Show all images")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Filters")).to_have_count(0)
    assert "split" not in page.url
