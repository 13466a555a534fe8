"""The file that the command opens, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from astica_sync.cli.service.page import redirect_to
from tests.harness.page_client import PageClient


@pytest.mark.long
def test_the_file_for_the_browser_leads_to_the_page(chromium: Browser, served: PageClient, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(redirect_to(served.announced[0]))
    page = chromium.new_page()
    page.goto(file.as_uri())
    expect(page).to_have_title("astica-sync")
    assert page.url.partition("#")[0] == f"{served.base}/"
    page.close()
