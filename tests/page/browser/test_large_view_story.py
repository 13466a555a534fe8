"""The large view while the image that it shows is moved, changed or removed: by hand, and in another tab."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.harness.shell import Shell
from tests.page.browser.conftest import CLASSES, Watched

pytestmark = pytest.mark.long


def open_can(enter: Callable[..., Page], index: int) -> tuple[Page, Locator]:
    page = enter("#class=Can")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.locator(f".cell[data-index='{index}']").dblclick()
    view = page.get_by_role("dialog")
    shown(view, f"photo {index:02}.png")
    return page, view


def shown(view: Locator, name: str) -> None:
    expect(view.get_by_role("heading", name=name)).to_be_visible()
    expect(view.locator(".stage img.is-shown")).to_have_attribute("alt", name)


def test_an_image_moved_by_hand_is_followed_and_the_next_one_is_that_of_its_place(
    enter: Callable[..., Page], store: Path
) -> None:
    page, view = open_can(enter, 4)
    (store / "Can" / "photo 04.png").rename(store / "Bottle" / "by hand.png")
    expect(view.get_by_role("status").filter(has_text="It was moved")).to_have_text(
        "It was moved, and is Bottle/by hand.png now."
    )
    shown(view, "by hand.png")
    expect(view.get_by_role("button", name="Bottle", pressed=True)).to_be_visible()
    page.keyboard.press("ArrowRight")
    shown(view, "photo 05.png")
    expect(view.get_by_text("It was moved")).to_have_count(0)
    page.keyboard.press("ArrowLeft")
    shown(view, "photo 03.png")


def test_an_image_moved_in_another_tab_is_followed_and_can_be_changed(enter: Callable[..., Page], store: Path) -> None:
    page, view = open_can(enter, 4)
    other = page.context.new_page()
    other.goto(page.url)
    shown(other.get_by_role("dialog"), "photo 04.png")
    other.keyboard.press("1")
    # The tab that moved it goes on with the next one.
    shown(other.get_by_role("dialog"), "photo 05.png")
    expect(view.get_by_text("It was moved, and is Bottle/photo 04-2.png now.")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_role("button", name=f"Büchse {CLASSES['Büchse'] + 1} images")).to_be_attached()
    assert len(list((store / "Büchse").iterdir())) == CLASSES["Büchse"] + 1
    shown(view, "photo 05.png")


def test_what_became_of_an_image_is_said(enter: Callable[..., Page], store: Path, shell: Shell) -> None:
    assert shell("push", "--store", store).code == 0
    page, view = open_can(enter, 4)
    # Another image takes its place.
    taken = (store / "Can" / "photo 05.png").read_bytes()
    (store / "Can" / "photo 04.png").rename(store / "Can" / "aside.png")
    (store / "Can" / "photo 05.png").rename(store / "Can" / "photo 04.png")
    expect(view.get_by_text("It was moved, and is Can/aside.png now.")).to_be_visible()
    shown(view, "aside.png")
    (store / "Can" / "aside.png").unlink()
    expect(view.get_by_text("Its file was removed from Can.")).to_be_visible()
    view.get_by_role("button", name="Put back").click()
    expect(page.locator(".notice", has_text="1 image put back")).to_be_attached()
    assert (store / "Can" / "photo 04.png").read_bytes() == taken
    assert (store / "Can" / "photo 04-2.png").is_file()


def test_a_file_that_changes_or_goes_for_good_is_said(
    enter: Callable[..., Page], store: Path, watched: Watched
) -> None:
    watched.allowed.append("404 (Not Found)")
    page, view = open_can(enter, 4)
    Image.new("RGB", (90, 30), (1, 2, 3)).save(store / "Can" / "photo 04.png")
    expect(view.get_by_text("The file was changed; this is how it is now.")).to_be_visible()
    expect(view.get_by_text("90 \u00d7 30")).to_be_visible()
    (store / "Can" / "photo 04.png").unlink()
    expect(view.get_by_role("alert")).to_contain_text("this image is gone")
    page.keyboard.press("Escape")
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{CLASSES['Can'] - 1} images")
