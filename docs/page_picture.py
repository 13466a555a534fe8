"""Draws ``page.png``: the page of a small store in a real browser, in the light theme.

Run it with ``python docs/page_picture.py`` where Chromium is installed.
"""

import contextlib
import io
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from console_examples import environment
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Page, expect, sync_playwright

from astica_sync.sandbox.embedded import running

PICTURE = Path(__file__).parent / "page.png"
Size = tuple[int, int]
"""Width and height in pixels."""
SIZE = (1180, 700)
COLOURS = 192
_SIDE = 240
_COUNTS = {"Bottle": 19, "Can": 13, "Carton": 16}


def main() -> None:
    with tempfile.TemporaryDirectory() as name, running() as box:
        home = Path(name).resolve()
        store = home / "packaging"
        _draw_store(store)
        environ = environment(home) | {
            "ASTICA_TRAIN_URL": box.url,
            "ASTICA_DETECT_URL": box.url,
            "ASTICA_API_KEY": box.key,
        }
        run_command(["init", "--create", "Packaging", "--purpose", "sort"], store, environ)
        run_command(["push"], store, environ)
        _change(store)
        run_command(["status"], store, environ)
        with serve_page(store, environ) as address:
            save_small(_photograph(address), PICTURE)


@contextlib.contextmanager
def open_page(size: Size) -> Iterator[Page]:
    """A page of Chromium in the light theme."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="light")


@contextlib.contextmanager
def serve_page(store: Path, environ: dict[str, str]) -> Iterator[str]:
    """The address of ``astica-sync page`` on a store."""
    command = [sys.executable, "-u", "-m", "astica_sync", "page", "--port", "0", "--no-open"]
    with subprocess.Popen(command, cwd=store, env=environ, stdout=subprocess.PIPE, text=True) as page:
        try:
            assert page.stdout is not None
            yield next(match for line in page.stdout if (match := re.match(r"The page is at (\S+)", line)))[1]
        finally:
            page.terminate()


def wait_until_drawn(page: Page) -> None:
    """All thumbnails of the page are there."""
    expect(page.locator(".push-price")).to_contain_text(re.compile("request|nothing"))
    expect(page.locator(".cell:not([hidden]):not(.has-image):not(.has-no-image)")).to_have_count(0)


def _photograph(address: str) -> bytes:
    with open_page(SIZE) as page:
        page.goto(address)
        wait_until_drawn(page)
        _select(page)
        wait_until_drawn(page)
        return page.screenshot(animations="disabled")


def _select(page: Page) -> None:
    page.locator(".cell[data-index='2']").click()
    page.locator(".cell[data-index='3']").click(modifiers=["Shift"])
    page.mouse.move(SIZE[0] - 2, 2)


def save_small(shot: bytes, picture: Path) -> None:
    """With few colours, which makes a small file."""
    small = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


def _change(store: Path) -> None:
    """Changes since the push: images moved, one deleted, one added, one that is no image, one in two classes."""
    for number in (3, 7):
        (store / "Can" / f"photo {number:02}.jpg").rename(store / "Bottle" / f"from can {number:02}.jpg")
    (store / "Carton" / "photo 05.jpg").unlink()
    _draw("Bottle", 900).save(store / "Bottle" / "a new one.jpg", quality=88)
    (store / "Bottle" / "broken.jpg").write_bytes(b"no image")
    shutil.copy(store / "Bottle" / "photo 04.jpg", store / "Carton" / "photo 99.jpg")


def _draw_store(store: Path) -> None:
    for title, count in _COUNTS.items():
        (store / title).mkdir(parents=True)
        for number in range(count):
            _draw(title, number).save(store / title / f"photo {number:02}.jpg", quality=88)


def _draw(title: str, seed: int) -> Image.Image:
    """A thing on a table, in soft light."""
    dice = random.Random(f"{title} {seed}")  # noqa: S311 - the same picture each time
    wall, table = (tuple(dice.randrange(low, low + 60) for _ in range(3)) for low in (165, 110))
    image = Image.new("RGB", (_SIDE, _SIDE), wall)
    pen = ImageDraw.Draw(image)
    edge = dice.randrange(150, 190)
    pen.rectangle((0, edge, _SIDE, _SIDE), fill=table)
    tint = tuple(dice.randrange(30, 215) for _ in range(3))
    x, foot = dice.randrange(90, 150), edge + dice.randrange(15, 40)
    pen.ellipse((x - 55, foot - 12, x + 75, foot + 12), fill=tuple(part * 2 // 3 for part in table))
    _SHAPES[title](pen, x, foot, tint)
    image = image.rotate(dice.uniform(-7, 7), Image.Resampling.BICUBIC, fillcolor=wall)
    return image.filter(ImageFilter.GaussianBlur(1.1))


_Colour = tuple[int, ...]


def _light(tint: _Colour, more: int = 45) -> _Colour:
    return tuple(min(part + more, 255) for part in tint)


def _bottle(pen: ImageDraw.ImageDraw, x: int, foot: int, tint: _Colour) -> None:
    pen.rounded_rectangle((x - 28, foot - 100, x + 28, foot), 12, fill=tint)
    pen.polygon(((x - 28, foot - 92), (x - 10, foot - 128), (x + 10, foot - 128), (x + 28, foot - 92)), fill=tint)
    pen.rectangle((x - 10, foot - 150, x + 10, foot - 124), fill=tint)
    pen.rectangle((x - 12, foot - 158, x + 12, foot - 148), fill=_light(tint, 90))
    pen.rectangle((x - 28, foot - 72, x + 28, foot - 34), fill=_light(tint, 110))
    pen.rectangle((x - 21, foot - 96, x - 15, foot - 8), fill=_light(tint))


def _can(pen: ImageDraw.ImageDraw, x: int, foot: int, tint: _Colour) -> None:
    pen.rectangle((x - 34, foot - 96, x + 34, foot - 6), fill=tint)
    pen.ellipse((x - 34, foot - 16, x + 34, foot + 4), fill=tint)
    pen.ellipse((x - 34, foot - 106, x + 34, foot - 86), fill=(205, 208, 212))
    pen.ellipse((x - 26, foot - 102, x + 26, foot - 90), fill=(160, 164, 170))
    pen.rectangle((x - 24, foot - 84, x - 15, foot - 10), fill=_light(tint, 70))


def _carton(pen: ImageDraw.ImageDraw, x: int, foot: int, tint: _Colour) -> None:
    pen.rectangle((x - 40, foot - 104, x + 20, foot), fill=tint)
    pen.polygon(
        ((x + 20, foot - 104), (x + 44, foot - 116), (x + 44, foot - 14), (x + 20, foot)), fill=_light(tint, -30)
    )
    pen.polygon(
        ((x - 40, foot - 104), (x - 20, foot - 134), (x + 32, foot - 134), (x + 20, foot - 104)), fill=_light(tint)
    )
    pen.rectangle((x - 32, foot - 80, x + 12, foot - 40), fill=_light(tint, 100))


_SHAPES = {"Bottle": _bottle, "Can": _can, "Carton": _carton}


def run_command(arguments: list[str], store: Path, environ: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", "astica_sync", *arguments], cwd=store, env=environ, check=True)


if __name__ == "__main__":
    main()
