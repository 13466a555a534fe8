"""A real browser on a running page. Where Chromium is not installed, the tests are skipped.

Every test also checks that the page wrote no error to the console, that no rule of its security policy was broken, and
that no request went to another host.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from astica_sync.page import app, server
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.page_bundle import make_bundle
from tests.harness.page_client import PageClient, page_of_program, running_page
from tests.harness.shell import Shell

CLASSES = {"Bottle": 30, "Büchse": 8, "Can": 22}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
"""The camera is one that Chromium draws."""
PATIENCE = 30_000
"""Milliseconds: a limit for a busy machine, not a wait."""


def find_chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Watched:
    """What the browser complained about; ``allowed`` are parts of messages that a test expects."""

    complaints: list[str] = field(default_factory=list)
    # The rows of a view that the store has left behind: the page asks for the new view.
    allowed: list[str] = field(default_factory=lambda: ["409 (Conflict)"])

    def left(self) -> list[str]:
        return [one for one in self.complaints if not any(part in one for part in self.allowed)]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def most_images() -> int:
    """How many images a class has at most; fewer where pushes and trainings have to fit into a minute's requests."""
    return max(CLASSES.values())


@pytest.fixture
def photo_folder(tmp_path: Path, most_images: int) -> Path:
    """60 images in three classes, or ``most_images`` of each; each differs from the others."""
    root = tmp_path / "store"
    for number, (title, count) in enumerate(CLASSES.items()):
        (root / title).mkdir(parents=True)
        for at in range(min(count, most_images)):
            image = Image.new("RGB", (48, 40), (40 + at * 6, 60 + number * 70, 200 - at * 5))
            ImageDraw.Draw(image).ellipse((4 + at % 9, 4, 30, 30), fill=(250, 220 - at * 6, number * 90))
            image.save(root / title / f"photo {at:02}.png")
    return root


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The images as a store of the sandbox, never pushed but seen by a dry run."""
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    ran = shell("init", photo_folder, "--model", str(sandbox.add_model("Cans")))
    assert ran.code == 0, ran.err
    shell("status", "--store", photo_folder)
    return photo_folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def bundled_page(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page serves the files of a wheel."""
    monkeypatch.setattr(app, "STATIC", bundle)
    monkeypatch.setattr(server, "STATIC", bundle)


@pytest.fixture
def served(store: Path) -> Iterator[PageClient]:
    """The page of this checkout, or that of the installed program that PAGE_PROGRAM names."""
    program = os.environ.get("PAGE_PROGRAM")
    with page_of_program(program, store) if program else running_page(store) as client:
        yield client


@pytest.fixture
def enter(chromium: Browser, served: PageClient, watched: Watched) -> Iterator[Callable[..., Page]]:
    """Opens the page in a browser of its own; arguments are those of a browser context, and ``at`` is the hash."""
    contexts: list[BrowserContext] = []

    def open_page(at: str = "", **options: object) -> Page:
        settings = {"viewport": {"width": 1280, "height": 800}, **options}
        context = chromium.new_context(**settings)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on(
            "console", lambda said: _note_console(watched, said.type, f"{said.text} {said.location.get('url', '')}")
        )
        page.on("pageerror", lambda error: watched.complaints.append(f"script: {error}"))
        page.on("request", lambda request: _note_request(watched, request, served.base))
        context.add_cookies(
            [{"name": one.name, "value": one.value or "", "url": served.base} for one in served.http.cookies.jar]
        )
        page.goto(f"{served.base}/{at}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert watched.left() == []


def _note_console(watched: Watched, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        watched.complaints.append(f"{kind}: {text}")


def _note_request(watched: Watched, request: Request, base: str) -> None:
    if not request.url.startswith((f"{base}/", "blob:", "data:")):
        watched.complaints.append(f"another host: {request.url}")
