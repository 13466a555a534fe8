"""From no store to its gallery, in the browser and by keyboard alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell
from tests.page.browser.conftest import Watched
from tests.page.browser.test_accessibility import NARROW, WIDE, check

pytestmark = pytest.mark.long


@pytest.fixture
def served(
    shell: Shell, sandbox: RunningSandbox, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PageClient]:
    """The page in a folder that is no store, beside the images."""
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(photo_folder.parent)
    with running_page(None) as client:
        yield client


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", NARROW)], ids=["light", "dark"])
def test_a_store_is_made_by_keyboard(
    enter: Callable[..., Page], photo_folder: Path, watched: Watched, theme: str, size: dict[str, int]
) -> None:
    watched.allowed.append("422 (Unprocessable")
    page = enter(color_scheme=theme, bypass_csp=True, viewport=size)
    folder = page.get_by_role("combobox", name="Folder")
    expect(folder).to_be_focused()
    expect(folder).to_have_value(f"{photo_folder.parent}/")
    page.keyboard.press("End")
    page.keyboard.type("sto")
    offers = page.get_by_role("listbox", name="Folders")
    expect(offers.get_by_role("option")).to_have_count(1)
    check(page, "setup, completing")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(folder).to_have_value(f"{photo_folder}/")
    # A model that is none: the command's words.
    page.get_by_role("radio", name="One of your account").press("Space")
    number = page.get_by_role("spinbutton", name="Number")
    number.fill("999999")
    number.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Model not found")
    check(page, "setup, refused")
    page.get_by_role("radio", name="A new one").press("Space")
    page.get_by_role("textbox", name="Title").fill("Cans")
    page.get_by_role("textbox", name="Purpose").fill("to sort")
    page.keyboard.press("Enter")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    expect(page.get_by_role("banner").get_by_role("status")).to_have_text("60 images")
    assert (photo_folder / ".astica-sync" / "store.json").is_file()


@pytest.mark.usefixtures("bundled_page")
def test_a_store_is_made_in_the_page_of_a_wheel(
    enter: Callable[..., Page], photo_folder: Path, watched: Watched
) -> None:
    test_a_store_is_made_by_keyboard(enter, photo_folder, watched, "light", WIDE)
