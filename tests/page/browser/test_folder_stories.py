"""Stories of a whole task: two hundred images by keyboard and a push, deleted images recovered, a folder dropped, two
tabs and a watcher at once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell, in_store, on_service
from tests.page.browser.conftest import CLASSES, Watched

pytestmark = pytest.mark.long
MOVED = 200


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """One whose limit lets hundreds of requests through at once."""
    with running(limit=5_000) as box:
        yield box


@pytest.fixture(autouse=True)
def same_limit(shell: Shell) -> None:
    shell.environ["ASTICA_LIMIT"] = "5000"


@pytest.fixture
def many(photo_folder: Path) -> int:
    """So many more bottles that two hundred can be moved."""
    for at in range(MOVED):
        Image.new("RGB", (24, 24), (at, 255 - at, at // 2)).save(photo_folder / "Bottle" / f"more {at:03}.png")
    return CLASSES["Bottle"] + MOVED


@pytest.fixture
def pushed(shell: Shell, store: Path) -> Path:
    assert shell("push", "--store", store).code == 0
    assert shell("status", "--store", store).code == 0
    return store


def tab_to(page: Page, name: str) -> None:
    """Goes to a button as who has no pointer."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.innerText ?? ''").strip() == name:
            return
    raise AssertionError(f"{name!r} is not reached by Tab")


def choice(page: Page, title: str, count: int) -> None:
    expect(page.get_by_role("button", name=f"{title} {count} images")).to_be_visible()


def test_two_hundred_by_keyboard_undone_done_again_and_pushed(
    many: int, enter: Callable[..., Page], pushed: Path, sandbox: RunningSandbox
) -> None:
    page = enter()
    cans = CLASSES["Can"]
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("]")
    page.keyboard.press("g")
    expect(page.locator(".cell[data-index='0']")).to_be_focused()
    page.keyboard.press("Space")
    for _ in range(MOVED - 1):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_role("toolbar")).to_contain_text(f"{MOVED} images selected")
    page.keyboard.press("3")
    choice(page, "Can", cans + MOVED)
    page.keyboard.press("Control+z")
    choice(page, "Can", cans)
    page.keyboard.press("Control+Shift+z")
    choice(page, "Can", cans + MOVED)
    assert len(list((pushed / "Can").glob("*.png"))) == cans + MOVED

    # The push asks before it removes so many, and shows them.
    page.keyboard.press("p")
    panel = page.get_by_role("complementary")
    expect(panel.locator(".price")).to_contain_text("requests")
    tab_to(page, "Start the push")
    page.keyboard.press("Enter")
    question = panel.get_by_role("alert", name="Question")
    expect(question.get_by_role("img")).to_have_count(24)
    expect(question).to_contain_text(f"and {MOVED - 24} more")
    model = sandbox.models()[0][0]
    assert len(on_service(sandbox, model)) >= many, "nothing is removed before the answer"
    tab_to(page, "Yes, go on")
    page.keyboard.press("Enter")
    expect(panel.locator(".panel-state")).to_have_text("Done")
    expect(panel).to_contain_text("The service is in sync with the store.")
    assert on_service(sandbox, model) == in_store(pushed)


def test_deleted_images_are_recovered_from_the_backup(enter: Callable[..., Page], pushed: Path, shell: Shell) -> None:
    before = {path.read_bytes() for path in (pushed / "Büchse").iterdir()}
    page = enter("#class=Büchse")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    expect(page.locator(".push-price")).to_have_text("nothing to send")
    page.keyboard.press("Control+a")
    expect(page.get_by_role("toolbar")).to_contain_text("8 images selected")
    page.keyboard.press("Delete")
    expect(page.locator(".notice")).to_contain_text("deleted")
    assert not list((pushed / "Büchse").iterdir())
    assert shell("push", "--store", pushed, "--yes").code == 0
    gone = page.get_by_role("button", name="only in the backup")
    expect(gone).to_be_visible()
    gone.click()
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{CLASSES['Büchse']} images")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.press("r")
    expect(page.locator(".notice").last).to_contain_text("put back")
    assert {path.read_bytes() for path in (pushed / "Büchse").iterdir()} == before


def test_a_dropped_folder_with_folders_is_added(
    enter: Callable[..., Page], store: Path, tmp_path: Path, watched: Watched
) -> None:
    # The answer about the text file.
    watched.allowed.append("422 (Unprocessable Entity)")
    dropped = tmp_path / "from camera"
    (dropped / "deeper").mkdir(parents=True)
    for at in range(5):
        Image.new("RGB", (30, 20), (at * 40, 7, 99)).save(dropped / ("deeper" if at % 2 else ".") / f"new {at}.png")
    (dropped / "notes.txt").write_text("no image")
    page = enter("#class=Can")
    expect(page.locator(".cell.has-image").first).to_be_visible()
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(dropped)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": data})
    expect(page.locator(".notice").first).to_contain_text("5 images added to Can")
    choice(page, "Can", CLASSES["Can"] + 5)
    assert len(list((store / "Can").rglob("new *.png"))) == 5
    assert not list(store.rglob("notes.txt"))


def test_two_tabs_and_a_watcher_change_the_same_images(
    enter: Callable[..., Page], pushed: Path, shell: Shell, sandbox: RunningSandbox
) -> None:
    total = sum(CLASSES.values())
    first = enter("#class=Can")
    expect(first.locator(".cell.has-image").first).to_be_visible()
    second = first.context.new_page()
    second.goto(first.url)
    expect(second.locator(".cell.has-image").first).to_be_visible()
    watcher = shell.start("watch", "--store", pushed)
    try:
        for tab, key in ((first, "1"), (second, "2")):
            tab.keyboard.press("g")
            tab.keyboard.press("Space")
            for _ in range(4):
                tab.keyboard.press("Shift+ArrowRight")
            tab.keyboard.press(key)
        (pushed / "Can" / "photo 21.png").rename(pushed / "Büchse" / "by hand.png")
        for tab in (first, second):
            expect(tab.locator(".notice").first).to_contain_text("moved")
        assert len(in_store(pushed)) == total
    finally:
        watcher.terminate()
        watcher.communicate()
    assert shell("push", "--store", pushed, "--yes").code == 0
    assert on_service(sandbox, sandbox.models()[0][0]) == in_store(pushed)
    assert shell("status", "--store", pushed).code == 0
    for tab in (first, second):
        tab.goto(f"{tab.url.partition('#')[0]}#state=on-service")
        expect(tab.locator(".place-text [role=status]")).to_have_text(f"{total} images")


def test_a_push_is_paused_and_goes_on(enter: Callable[..., Page], store: Path, sandbox: RunningSandbox) -> None:
    page = enter()
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("p")
    panel = page.get_by_role("complementary")
    sandbox.set_faults(latency="0.3")
    panel.get_by_role("button", name="Start the push").click()
    panel.get_by_role("button", name="Pause").click()
    panel.get_by_role("button", name="Resume").click()
    expect(panel.locator(".panel-state")).to_have_text("Done")
    assert on_service(sandbox, sandbox.models()[0][0]) == in_store(store)
