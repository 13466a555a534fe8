"""The camera against the preview and the service, a misread frame made a sample, and versions compared."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.harness.shell import Shell
from tests.harness.watch_process import wait_until

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("small_features")]
EACH, TOTAL = 8, 24
REFUSE_CAMERA = """() => void (navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("", "NotAllowedError");
})"""

HOLD_FRAMES = """() => {
  window.waiting = [];
  HTMLVideoElement.prototype.requestVideoFrameCallback = (call) => window.waiting.push(call);
}"""
NEW_FRAME = "() => window.waiting.shift()?.()"


def asks_about_a_frame(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/api/preview")


@pytest.fixture
def most_images() -> int:
    return EACH


@pytest.fixture
def trained(shell: Shell, store: Path) -> Path:
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    return store


def test_the_camera_a_misread_frame_and_a_sample(trained: Path, enter: Callable[..., Page]) -> None:
    page = enter(permissions=["camera"])
    expect(page.locator(".cell.has-image").first).to_be_visible()
    page.keyboard.press("w")
    panel = page.get_by_role("complementary", name="What would it say?")
    expect(panel).to_contain_text(f"on {TOTAL} images")
    expect(panel).to_contain_text("not the service's model")
    panel.get_by_role("button", name="Start the camera").click()
    label = panel.locator(".predict-label b")
    expect(label).to_have_text(re.compile(r"\w"))
    other = "Bottle" if label.inner_text() == "Can" else "Can"
    panel.get_by_role("button", name="Ask it").click()
    expect(panel.get_by_label("The service").get_by_role("status").locator("b")).not_to_be_empty()

    # It is of another class: one button, or its key, makes the frame a sample of that class.
    panel.get_by_label("Add this picture").get_by_role("button", name=other).click()
    expect(page.get_by_role("button", name=f"{other} {EACH + 1} images")).to_be_visible()
    [frame] = (trained / other).glob("frame-*.jpg")
    assert frame.read_bytes().startswith(b"\xff\xd8")
    # The preview learns it and changes its mind.
    expect(panel).to_contain_text(f"on {TOTAL + 1} images")
    expect(label).to_have_text(other)
    panel.get_by_role("button", name="Stop the camera").click()
    expect(panel.get_by_role("button", name="Start the camera")).to_be_visible()


def test_a_frame_that_comes_during_an_answer_is_asked_about_next(store: Path, enter: Callable[..., Page]) -> None:
    page = enter(permissions=["camera"])
    page.evaluate(HOLD_FRAMES)
    page.keyboard.press("w")
    panel = page.get_by_role("complementary", name="What would it say?")
    expect(panel).to_contain_text(f"on {TOTAL} images")
    panel.get_by_role("button", name="Start the camera").click()
    expect(panel.get_by_role("button", name="Stop the camera")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/preview", hold)
    with page.expect_request(asks_about_a_frame):
        page.evaluate(NEW_FRAME)
    page.evaluate(NEW_FRAME)
    with page.expect_request(asks_about_a_frame):
        held.pop().continue_()


def test_a_refused_camera_is_explained_and_a_file_serves(trained: Path, enter: Callable[..., Page]) -> None:
    page = enter()
    page.evaluate(REFUSE_CAMERA)
    page.keyboard.press("w")
    panel = page.get_by_role("complementary", name="What would it say?")
    expect(panel).to_contain_text("when each is left out")
    panel.get_by_role("button", name="Start the camera").click()
    expect(panel.get_by_role("alert")).to_contain_text("The camera may not be used")
    panel.locator("input[type=file]").set_input_files(trained / "Can" / "photo 03.png")
    expect(panel.locator(".predict-label b")).to_have_text("Can")


def test_what_looks_wrong_is_first_and_moved_with_one_click(trained: Path, enter: Callable[..., Page]) -> None:
    (trained / "Can" / "photo 05.png").rename(trained / "Bottle" / "wrong.png")
    page = enter()
    page.keyboard.press("w")
    panel = page.get_by_role("complementary", name="What would it say?")
    first = panel.get_by_label("Look at these first").get_by_role("listitem").first
    expect(first).to_contain_text("is in Bottle, looks like Can")
    first.get_by_role("button", name="Move").click()
    # The gallery may have shown the counts of before the test renamed the file.
    wait_until((trained / "Can" / "wrong.png").is_file)
    expect(page.get_by_role("button", name=f"Can {EACH} images")).to_be_visible()


def test_versions_are_compared_as_images_and_one_is_brought_back(
    trained: Path, shell: Shell, enter: Callable[..., Page]
) -> None:
    (trained / "Can" / "photo 00.png").unlink()
    (trained / "Can" / "photo 01.png").rename(trained / "Bottle" / "moved.png")
    assert shell("push", "--store", trained, "--yes").code == 0
    assert shell("train", "--store", trained).code == 0
    page = enter()
    page.keyboard.press("v")
    panel = page.get_by_role("complementary", name="Versions")
    versions = panel.get_by_role("list", name="Versions, the newest first").get_by_role("listitem")
    expect(versions).to_have_count(2)
    expect(panel.get_by_role("img", name="Removed: photo 00.png Can")).to_be_visible()
    expect(panel.get_by_role("img", name="Moved:  Can → Bottle")).to_be_visible()
    versions.last.get_by_role("button", name="Bring its data back").click()
    expect(panel).to_contain_text("2 uploads and 1 removal on the service")
    panel.get_by_role("button", name="Bring it back").click()
    push = page.get_by_role("complementary", name="Push")
    expect(push.locator(".panel-state")).to_contain_text("Done")
    page.keyboard.press("v")
    expect(panel).to_contain_text("A push brings back that of the folder")
    assert not (trained / "Can" / "photo 00.png").exists()
