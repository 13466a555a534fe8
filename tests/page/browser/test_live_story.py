"""What happens while the page is open: a push, files from elsewhere, a second tab, a restart of the command."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell
from tests.page.browser.conftest import CLASSES, Watched

pytestmark = pytest.mark.long
TOTAL = sum(CLASSES.values())

DROP = """([target, name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.querySelector(target).dispatchEvent(event);
  }
}"""


def test_a_push_runs_in_the_panel(enter: Callable[..., Page]) -> None:
    page = enter()
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("p")
    panel = page.get_by_role("complementary")
    expect(panel.locator(".price-figures")).to_contain_text("requests")
    panel.get_by_role("button", name="Start the push").click()
    expect(panel.locator(".panel-state")).to_have_text("Done")
    expect(panel).to_contain_text(f"{TOTAL} sent, 0 removed. The service is in sync with the store.")
    expect(page.locator(".push-price")).to_have_text("nothing to send")
    expect(page.locator(".cell[data-state='on-service']").first).to_be_visible()


@pytest.fixture
def never_seen(store: Path) -> Path:
    """A store whose model has never been looked at."""
    for file in (store / ".astica-sync").glob("last-view.*"):
        file.unlink()
    return store


@pytest.mark.usefixtures("never_seen")
def test_a_price_that_is_not_known_does_not_look_like_nothing_to_send(enter: Callable[..., Page]) -> None:
    page = enter()
    expect(page.locator(".push-price")).to_have_text("price not known")
    icon = page.locator(".push-button use")
    expect(icon).to_have_attribute("href", "#i-doubtful")
    page.keyboard.press("p")
    panel = page.get_by_role("complementary")
    panel.get_by_role("button", name="Start the push").click()
    expect(page.locator(".push-price")).to_have_text("nothing to send")
    expect(icon).to_have_attribute("href", "#i-on-service")


def test_what_others_change_is_shown_in_all_tabs(enter: Callable[..., Page], photo_folder: Path) -> None:
    first = enter()
    expect(first.locator(".place-text [role=status]")).to_have_text(f"{TOTAL} images")
    second = first.context.new_page()
    second.goto(first.url)
    expect(second.locator(".place-text [role=status]")).to_have_text(f"{TOTAL} images")
    (photo_folder / "Can" / "photo 00.png").rename(photo_folder / "Bottle" / "from elsewhere.png")
    (photo_folder / "Can" / "photo 01.png").unlink()
    for tab in (first, second):
        expect(tab.locator(".place-text [role=status]")).to_have_text(f"{TOTAL - 1} images")
        expect(tab.get_by_role("button", name=f"Bottle {CLASSES['Bottle'] + 1} images")).to_be_visible()


def test_a_dropped_file_is_an_image_of_the_class(
    enter: Callable[..., Page], photo_folder: Path, watched: Watched
) -> None:
    watched.allowed.append("422 (Unprocessable Entity)")
    page = enter("#class=Can")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    # No image of the store is equal to it.
    bottle = (photo_folder / "Bottle" / "photo 03.png").read_bytes()
    page.evaluate(DROP, ["main", "../new one.png", base64.b64encode(bottle).decode()])
    expect(page.locator(".notice")).to_contain_text("1 image added to Can")
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{CLASSES['Can'] + 1} images")
    assert len(list((photo_folder / "Can").glob("*new one.png"))) == 1
    assert not (photo_folder / "new one.png").exists()
    page.evaluate(DROP, ["main", "page.png", base64.b64encode(b"<html>no image</html>").decode()])
    expect(page.locator(".notice.is-error")).to_contain_text("page.png")
    page.locator(".notice", has_text="1 image added").get_by_role("button", name="Undo").click()
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{CLASSES['Can']} images")


def test_the_page_goes_on_after_a_restart(chromium: Browser, store: Path, shell: Shell) -> None:
    errors: list[str] = []
    context = chromium.new_context()
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    with running_page(store) as served:
        port = int(served.host.rpartition(":")[2])
        _enter(page, served)
        expect(page.locator(".place-text [role=status]")).to_have_text(f"{TOTAL} images")
    expect(page.get_by_role("alert").filter(has_text="The command does not answer")).to_be_visible()
    (store / "Can" / "photo 05.png").unlink()
    with running_page(store, port) as served:
        expect(page.get_by_role("alert").filter(has_text="The command was started again")).to_be_visible()
        _enter(context.new_page(), served)
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.locator(".place-text [role=status]")).to_have_text(f"{TOTAL - 1} images")
        page.keyboard.press("g")
        page.keyboard.press("3")
        expect(page.locator(".notice", has_text="moved to Can")).to_be_visible()
    context.close()
    assert errors == []


def _enter(page: Page, served: PageClient) -> None:
    page.context.add_cookies(
        [{"name": one.name, "value": one.value or "", "url": served.base} for one in served.http.cookies.jar]
    )
    page.goto(f"{served.base}/")
