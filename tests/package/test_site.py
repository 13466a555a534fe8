"""The manual as a site: every page is in its navigation, every link leads somewhere, nothing comes from elsewhere."""

import importlib.util
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import unescape
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote_plus, unquote, urlsplit

import build_site
import pytest
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parents[2] / "docs"
MOST_SECONDS = 30.0
SEARCHED = {
    "lost disk": "off-site-backup.html#rebuild-a-lost-store",
    "disk broken": "off-site-backup.html#rebuild-a-lost-store",
    "wrong key": "install.html#a-wrong-key",
    "two computers": "machines.html",
    "429": "machines.html#astica_limit",
    "ASTICA_LIMIT": "machines.html#astica_limit",
    "undo": "undo.html",
}
"""What a user types, and how the first result begins."""
LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}


class _Page(HTMLParser):
    """The anchors of a page, where its links lead, and what a browser loads for it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors = {""}
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if tag == "a" and name == "href" and value:
                self.links.add(value)
            if (tag, name) in LOADS and value:
                self.loaded.add(value)


def find_broken(html: Path) -> list[str]:
    """Each link of the site that leads nowhere, and each file that is loaded from elsewhere or missing."""
    pages = {file.resolve(): _Page(file) for file in html.rglob("*.html") if file.name != "404.html"}
    return sorted(fault for file, page in pages.items() for fault in _faults_of(file, page, pages, html))


def _faults_of(file: Path, page: _Page, pages: dict[Path, _Page], html: Path) -> Iterator[str]:
    name = file.relative_to(html.resolve())
    for link in page.links | page.loaded:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            if link in page.loaded:
                yield f"{name} loads {link}"
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if target.is_dir():
            target /= "index.html"
        if not target.exists() or (target in pages and unquote(parts.fragment) not in pages[target].anchors):
            yield f"{name}: {link}"


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _pages_in(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list):
        for one in nav:
            yield from _pages_in(one)
    elif isinstance(nav, dict):
        for one in nav.values():
            yield from _pages_in(one)


def test_every_page_is_in_the_navigation_once() -> None:
    listed = list(_pages_in(build_site.navigation((DOCS / "index.md").read_text("utf-8"))))
    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    written |= {book.relative_to(DOCS).with_suffix(".md").as_posix() for book in DOCS.rglob("*.ipynb")}
    assert sorted(listed) == sorted({*written, build_site.CHANGES})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed")
    folder = tmp_path_factory.mktemp("manual") / "site"
    began = time.monotonic()
    build_site.build(folder)
    assert time.monotonic() - began < MOST_SECONDS
    return folder / "html"


def test_every_link_of_the_site_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 30
    assert find_broken(site) == []


def test_the_site_has_search_a_light_and_a_dark_theme_and_no_fonts_of_others(site: Path) -> None:
    found = json.loads((site / "search.json").read_text("utf-8"))
    text = json.dumps(found)
    assert "quarantine" in text and "Custom Vision" in text
    page = (site / "quickstart.html").read_text("utf-8")
    assert 'data-md-color-scheme="slate"' in page and 'data-md-color-scheme="default"' in page
    assert "fonts.googleapis.com" not in page
    for heading in ("Start", "Use it", "Look it up", "Contribute"):
        assert re.search(rf"<span class=\"md-ellipsis\">\s*{heading}\s*<", page), heading


def test_the_search_does_not_find_the_pages_for_contributors(site: Path) -> None:
    found = json.loads((site / "search.json").read_text("utf-8"))["items"]
    assert not [one["location"] for one in found if one["location"].startswith("dev/")]
    assert (site / "dev" / "reliability.html").is_file() and len(found) > 100


@pytest.mark.long
def test_the_words_of_a_user_find_the_page_that_helps(site: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    # The browser of other tests may be open in this process, and a thread can have one alone.
    with ThreadPoolExecutor(1) as own:
        own.submit(_search, site, program).result()


def _search(site: Path, program: str) -> None:
    handler = partial(_QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.locator(".md-search__button").click()
            for words, wanted in SEARCHED.items():
                page.locator("input[type=text], input[type=search], input:not([type])").last.fill(words)
                first = page.locator(f'ol a[href*="?h={quote_plus(words)}"]').first
                first.wait_for()
                target = urlsplit(first.get_attribute("href") or "")
                assert f"{target.path.rpartition('/')[2]}#{target.fragment}".startswith(wanted), words
            browser.close()
        finally:
            server.shutdown()


def test_what_only_the_tests_read_is_not_in_the_site(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert "<!-- run:" not in text and "&lt;!-- run:" not in text, page.name
        assert "```console" not in text, page.name
    assert "astica-sync push" in (site / "undo.html").read_text("utf-8")


def test_a_notebook_is_a_page_with_the_file_to_download(site: Path) -> None:
    page = (site / "notebooks" / "first-push.html").read_text("utf-8")
    assert 'href="first-push.ipynb"' in page and (site / "notebooks" / "first-push.ipynb").is_file()
    assert 'href="../sandbox.html"' in page and "What a push would do" in page
    assert 'href="notebooks/first-push.html"' in (site / "python-api.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("page", "broken"),
    [
        ('<a href="other.html#there">x</a>', []),
        ('<a href="#here">x</a><p id="here">', []),
        ('<a href="https://example.org/x">x</a>', []),
        ('<a href="other.html#nowhere">x</a>', ["index.html: other.html#nowhere"]),
        ('<a href="missing.html">x</a>', ["index.html: missing.html"]),
        ('<img src="missing.png">', ["index.html: missing.png"]),
        ('<script src="https://example.org/x.js"></script>', ["index.html loads https://example.org/x.js"]),
        ('<link href="//example.org/x.css">', ["index.html loads //example.org/x.css"]),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, page: str, broken: list[str]) -> None:
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "other.html").write_text('<h1 id="there">x</h1>')
    assert find_broken(tmp_path) == broken


def test_a_page_with_a_wrong_link_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed")
    docs = tmp_path / "repository" / "docs"
    docs.mkdir(parents=True)
    (docs.parent / "CHANGELOG.md").write_text("# Changes\n")
    (docs / "index.md").write_text("# Index\n\n[nowhere](missing.md)\n")
    (docs / "zensical.toml").write_text(
        '[project]\nsite_name = "x"\ndocs_dir = "pages"\nsite_dir = "html"\nuse_directory_urls = false\n'
    )
    monkeypatch.setattr(build_site, "DOCS", docs)
    with pytest.raises(build_site.Failed, match=r"page does not exist"):
        build_site.build(tmp_path / "site")


def test_a_message_with_brackets_and_an_option_with_a_bar_are_shown_as_they_are_printed(site: Path) -> None:
    errors, commands = ((site / "reference" / f"{page}.html").read_text("utf-8") for page in ("errors", "commands"))
    assert "&lt;file&gt; sets &lt;name&gt;" in errors
    assert "\\&lt;" not in errors and "\\_" not in errors and "\\&gt;" not in errors
    shown = unescape(commands)
    assert "--verify [share|all]" in shown and "--max-remove N|N%" in shown
    assert "\\|" not in shown
