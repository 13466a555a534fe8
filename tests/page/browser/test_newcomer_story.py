"""From an empty folder and an empty home to a trained model, by ``astica-sync page`` and the browser alone."""

import contextlib
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.harness.digits import write_digits
from tests.harness.page_client import PageClient
from tests.harness.shell import Shell

pytestmark = pytest.mark.long
EACH = 6
NAMES = ("zero", "one", "two", "three")
TOTAL = EACH * len(NAMES)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """What the newcomer has: folders of pictures, elsewhere, two of them in one more folder."""
    write_digits(tmp_path / "pictures", EACH, names=NAMES)
    for title in NAMES[2:]:
        (tmp_path / "pictures" / "more").mkdir(exist_ok=True)
        (tmp_path / "pictures" / title).rename(tmp_path / "pictures" / "more" / title)
    return tmp_path / "pictures"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def start(shell: Shell, here: Path) -> tuple["subprocess.Popen[str]", str]:
    """The command in a folder, as who has just installed it; and the address that it prints."""
    process = shell.start("page", "--port", "0", "--no-open", cwd=here)
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", process.stdout.readline())
    assert found
    return process, found[0]


def stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), out


@pytest.fixture
def newcomer(shell: Shell) -> Shell:
    """Whose home is empty, and who has no key."""
    for name in ("ASTICA_API_KEY", "ASTICA_TRAIN_URL", "ASTICA_DETECT_URL", "ASTICA_QUARANTINE"):
        del shell.environ[name]
    shell.short_pauses = False
    assert not list(shell.home.iterdir())
    return shell


@pytest.fixture
def served(newcomer: Shell, empty: Path) -> Iterator[PageClient]:
    process, address = start(newcomer, empty)
    try:
        client = PageClient(address, [])
        with contextlib.closing(client.raw), contextlib.closing(client.http):
            yield client
    finally:
        stop(process)


def drop(page: Page, target: Locator, *paths: Path) -> None:
    """Drops files and folders of the desktop on a place of the page."""
    box = target.bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def make_store(page: Page) -> None:
    page.get_by_role("radio", name="A sandbox on this machine").check()
    page.get_by_role("textbox", name="Title").fill("Digits")
    page.get_by_role("textbox", name="Purpose").fill("to tell noughts from ones")
    page.get_by_role("button", name="Make the store").click()


def push(page: Page, images: int) -> Locator:
    page.keyboard.press("p")
    panel = page.get_by_role("complementary", name="Push")
    panel.get_by_role("button", name="Start the push").click()
    expect(panel.locator(".panel-state")).to_have_text("Done")
    expect(panel).to_contain_text(f"{images} sent, 0 removed. The service is in sync with the store.")
    return panel


def test_from_an_empty_folder_to_a_trained_model(enter: Callable[..., Page], empty: Path, photos: Path) -> None:
    page = enter()
    expect(page.get_by_role("combobox", name="Folder")).to_have_value(f"{empty}/")
    make_store(page)
    expect(page.get_by_role("heading", name="No images yet")).to_be_visible()

    # One class is made first and gets files.
    page.get_by_role("button", name="New class").click()
    page.get_by_role("textbox", name="Title").fill("zero")
    page.get_by_role("button", name="Make the class").click()
    choice = page.get_by_role("button", name="zero 0 images")
    expect(choice).to_be_visible()
    drop(page, choice, *sorted((photos / "zero").iterdir()))
    expect(page.get_by_role("button", name=f"zero {EACH} images")).to_be_visible()

    # Another one comes as a folder, dropped beside the classes.
    drop(page, page.get_by_role("main"), photos / "one")
    dialog = page.get_by_role("dialog", name="Class of the files")
    expect(dialog.get_by_label("Class")).to_have_value("one")
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_role("button", name=f"one {EACH} images")).to_be_visible()
    # A folder of folders is as many classes, and one step of undo.
    drop(page, page.get_by_role("main"), photos / "more")
    expect(dialog.get_by_role("checkbox", name="Each folder is a class")).to_be_checked()
    expect(dialog).to_contain_text("three (new), two (new)")
    dialog.get_by_role("button", name="Add").click()
    expect(page.locator(".notice").last).to_contain_text(f"{2 * EACH} images added to 2 classes")
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{TOTAL} images")
    page.keyboard.press("Control+z")
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{2 * EACH} images")
    expect(page.locator(".notice").last).to_contain_text(f"Undone: add {2 * EACH} images to 2 classes")
    page.keyboard.press("Control+Shift+z")
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{TOTAL} images")
    expect(page.get_by_role("navigation", name="Classes and states")).to_contain_text(
        "press P, then Look at the service"
    )

    panel = push(page, TOTAL)
    panel.get_by_role("button", name="Train a version").click()
    expect(panel.get_by_role("region", name="Training")).to_contain_text("Trained version")

    page.keyboard.press("v")
    versions = page.get_by_role("complementary", name="Versions").get_by_role("list", name="Versions, the newest first")
    expect(versions.get_by_role("listitem")).to_have_count(1)
    expect(versions).to_contain_text(f"{TOTAL} samples in {len(NAMES)} classes")

    # What it learned is asked at once.
    page.keyboard.press("w")
    ask = page.get_by_role("complementary", name="What would it say?")
    ask.locator("input[type=file]").set_input_files(photos / "one" / "000.png")
    ask.get_by_role("button", name="Ask it").click()
    expect(ask.get_by_label("The service").get_by_role("status").locator("b")).to_have_text("one")


def test_the_next_day_the_store_finds_its_sandbox_again(
    newcomer: Shell, empty: Path, photos: Path, chromium: Browser
) -> None:
    (photos / "zero").rename(empty / "zero")
    (photos / "one").rename(empty / "one")
    process, address = start(newcomer, empty)
    page = chromium.new_page()
    page.goto(address)
    make_store(page)
    expect(page.locator(".place-text [role=status]")).to_have_text(f"{2 * EACH} images")
    push(page, 2 * EACH)
    page.context.close()
    stop(process)

    (empty / "one" / "000.png").unlink()
    process, address = start(newcomer, empty)
    try:
        page = chromium.new_page()
        page.goto(address)
        expect(page.locator(".push-price")).to_contain_text("2 requests")
        page.keyboard.press("p")
        panel = page.get_by_role("complementary", name="Push")
        panel.get_by_role("button", name="Start the push").click()
        expect(panel).to_contain_text("0 sent, 1 removed. The service is in sync with the store.")
        page.context.close()
    finally:
        stop(process)
