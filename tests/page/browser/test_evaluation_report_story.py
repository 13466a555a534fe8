"""The report of ``evaluate --html`` in a browser, with names that are markup: a cell opens its images, an image is seen
large, nothing is loaded or run, and nothing is wider than a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from astica_sync.training.evaluation.html_report import write_html
from tests.training.test_evaluation_report import HOSTILE, evaluation


@pytest.mark.long
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_cell_opens_its_images_and_an_image_is_seen_large(
    chromium: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(write_html(evaluation((*HOSTILE, "a long title " * 20), tmp_path), 0.0), "utf-8")
    complaints: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(file.as_uri())
    assert complaints == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.scripts.length") == 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)")

    correct = page.locator(".matrix td a[href='#cell-2-0-0']")
    expect(page.locator("#cell-2-0-0")).to_be_hidden()
    correct.click()
    expect(page.locator("#cell-2-0-0 figure").first).to_be_visible()

    page.locator("#cell-2-0-0 figure a").first.click()
    large = page.locator(".large:target")
    expect(large.locator("svg")).to_be_visible()
    assert large.locator("li").count() == 2
    large.get_by_text("close", exact=True).click()
    expect(page.locator(".large:visible")).to_have_count(0)
    expect(page.locator("#cell-2-0-0")).to_be_visible()

    wrong = page.locator(".group:not(.right) figure a").first
    wrong.click()
    expect(page.locator(".large:target svg")).to_be_visible()
    page.mouse.click(5, 5)
    expect(page.locator(".large:visible")).to_have_count(0)
    assert page.locator(".curves svg path").count() == 2 * 2 * 8
    assert page.locator(".plot svg").count() == 9
    assert complaints == [file.as_uri()]
    page.close()
