"""What a pointer does: a rectangle over images, a drag onto a class, paste, dialogs, keys of classes, zoom."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.browser.conftest import CLASSES, Watched

pytestmark = pytest.mark.long
PASTE = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  window.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def page(enter: Callable[..., Page]) -> Page:
    opened = enter("#class=Bottle")
    expect(opened.locator(".cell.has-image").nth(5)).to_be_visible()
    return opened


def middle(page: Page, index: int) -> tuple[float, float]:
    box = page.locator(f".cell[data-index='{index}']").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def choice(page: Page, title: str, count: int) -> None:
    expect(page.get_by_role("button", name=f"{title} {count} images")).to_be_visible()


def test_a_rectangle_selects_what_it_touches(page: Page) -> None:
    left, top = middle(page, 0)
    right, bottom = middle(page, 2)
    edge = page.locator(".cell[data-index='0']").bounding_box()
    assert edge is not None
    page.mouse.move(edge["x"] - 6, top)
    page.mouse.down()
    page.mouse.move(left, top, steps=3)
    page.mouse.move(right, bottom, steps=5)
    expect(page.locator(".rectangle")).to_be_visible()
    page.mouse.up()
    expect(page.get_by_role("toolbar")).to_contain_text("3 images selected")
    expect(page.locator(".rectangle")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar")).to_have_count(0)


def test_a_selection_is_dragged_onto_a_class_and_the_move_undone_by_its_notice(page: Page, store: Path) -> None:
    page.locator(".cell[data-index='0']").click()
    page.locator(".cell[data-index='3']").click(modifiers=["Shift"])
    page.locator(".cell[data-index='2']").click(modifiers=["Control"])
    expect(page.get_by_role("toolbar")).to_contain_text("3 images selected")
    page.locator(".cell[data-index='1']").drag_to(page.get_by_role("button", name=f"Can {CLASSES['Can']} images"))
    choice(page, "Can", CLASSES["Can"] + 3)
    assert len(list((store / "Can").iterdir())) == CLASSES["Can"] + 3
    page.locator(".notice").get_by_role("button", name="Undo").click()
    choice(page, "Can", CLASSES["Can"])


def test_a_pasted_image_is_added_to_the_class_that_is_shown(page: Page, store: Path) -> None:
    data = (store / "Can" / "photo 03.png").read_bytes()
    page.evaluate(PASTE, ["image.png", base64.b64encode(data).decode()])
    choice(page, "Bottle", CLASSES["Bottle"] + 1)
    assert any(path.read_bytes() == data for path in (store / "Bottle").iterdir())


def test_a_class_gets_another_key_a_new_title_and_is_merged(page: Page, store: Path) -> None:
    def open_dialog(title: str) -> None:
        page.get_by_role("button", name=f"Rename, merge or change the key of {title}").click()

    open_dialog("Can")
    page.get_by_label("Hotkey").press("x")
    page.keyboard.press("Escape")
    page.locator(".cell[data-index='0']").click()
    page.keyboard.press("x")
    choice(page, "Can", CLASSES["Can"] + 1)
    open_dialog("Can")
    page.get_by_label("New title").fill("Bottle")
    expect(page.get_by_text("There is a class Bottle already.")).to_be_visible()
    page.get_by_label("New title").fill("Tin")
    page.get_by_role("button", name="Rename", exact=True).click()
    choice(page, "Tin", CLASSES["Can"] + 1)
    assert not (store / "Can").exists()
    open_dialog("Tin")
    page.get_by_label("Merge into").select_option("Büchse")
    page.get_by_role("button", name="Merge", exact=True).click()
    choice(page, "Büchse", CLASSES["Büchse"] + CLASSES["Can"] + 1)


def test_a_new_class_is_made_and_one_slip_is_asked_about(page: Page, store: Path) -> None:
    page.get_by_role("button", name="New class").first.click()
    page.get_by_label("Title").fill("Botle")
    expect(page.get_by_text("Did you mean Bottle")).to_be_visible()
    page.get_by_label("Title").fill("Glass")
    page.get_by_role("button", name="Make the class").click()
    choice(page, "Glass", 0)
    assert (store / "Glass").is_dir()


def test_an_image_is_zoomed_and_moved_to_a_class_from_the_large_view(page: Page, watched: Watched) -> None:
    # The image under its old id, while it moves.
    watched.allowed.append("404 (Not Found)")
    page.locator(".cell[data-index='0']").dblclick()
    image = page.locator(".stage img.is-shown")
    expect(image).to_be_visible()
    first = image.evaluate("(one) => one.getBoundingClientRect().width")
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate(
        """async (first) => {
          for (let frame = 0; frame < 600; frame += 1) {
            if (document.querySelector('.stage img.is-shown').getBoundingClientRect().width > first * 1.2) return true;
            await new Promise(requestAnimationFrame);
          }
          return false;
        }""",
        first,
    )
    name = page.get_by_role("dialog").get_by_role("heading", level=2).inner_text()
    page.keyboard.press("3")
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).not_to_have_text(name)
    page.keyboard.press("Escape")
    choice(page, "Can", CLASSES["Can"] + 1)
