"""``inspect`` on what is no good input: each is named or left out, the rest is inspected, and nothing ends the run."""

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from astica_sync.inspect import html_report, inspect_store
from astica_sync.system import error_advice
from tests.harness.planted_pictures import real_photos
from tests.harness.shell import Shell, draw

MARKUP = "<img src=x onerror=alert(1)>"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, data: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def many_pixels() -> bytes:
    """A small file of 256 million pixels, which decode to 768 MB."""
    return png(16_000, 16_000, 8, 2, bytes(16_000 * (1 + 3 * 16_000)))


def endless_text() -> bytes:
    """A picture of one pixel with a text that unpacks to 200 MB."""
    return png(1, 1, 8, 2, bytes(4), chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)))


def endless_profile() -> bytes:
    return png(1, 1, 8, 2, bytes(4), chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(bytes(200_000_000), 9)))


def more_data_than_pixels() -> bytes:
    return png(8, 8, 8, 2, bytes(100_000_000))


def too_wide() -> bytes:
    return png(1_000_000_000, 1, 1, 0, bytes(100))


def jpeg_head(width: int, height: int) -> bytes:
    """A JPEG that ends behind its header."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame


BOMBS: dict[str, Callable[[], bytes]] = {
    "many_pixels": many_pixels,
    "endless_text": endless_text,
    "endless_profile": endless_profile,
    "more_data_than_pixels": more_data_than_pixels,
    "too_wide": too_wide,
    "jpeg_header_alone": lambda: jpeg_head(65_000, 65_000),
    "jpeg_header_of_no_pixels": lambda: jpeg_head(0, 0),
    "jpeg_marker_alone": lambda: b"\xff\xd8\xff",
    "png_signature_alone": lambda: b"\x89PNG\r\n\x1a\n",
}


@pytest.fixture
def album(store: Path) -> Path:
    """Six photos in two classes, no two of them similar."""
    for folder in store.iterdir():
        if not folder.name.startswith("."):
            shutil.rmtree(folder)
    for number, photo in enumerate(real_photos()[:6]):
        place = store / ("Can", "Bottle")[number % 2]
        place.mkdir(exist_ok=True)
        photo.resize((320, 240)).save(place / f"{number}.jpg", quality=92)
    return store


def inspected(shell: Shell, store: Path, *flags: str) -> dict[str, Any]:
    ran = shell("inspect", str(store), "--json", *flags)
    assert ran.code == 0, ran.err
    return dict(ran.json)


def damaged(found: dict[str, Any]) -> dict[str, str]:
    return {one["paths"][0]: f"{one['text']}; {one['advice']}" for one in found["findings"] if one["kind"] == "damaged"}


@pytest.mark.long
def test_bombs_are_named_or_opened_within_bounds(shell: Shell, album: Path, tmp_path: Path) -> None:
    for name, make in BOMBS.items():
        (album / "Can" / f"{name}.png").write_bytes(make())
    page = tmp_path / "report.html"
    ran = shell.finish(shell.start("inspect", album, "--json", "--html", page, under=limited()))
    assert ran.code == 0, ran.err
    named = damaged(ran.json)
    # Text, profile and what follows the last pixel are no part of the picture, which is whole.
    harmless = {"endless_text", "endless_profile", "many_pixels", "more_data_than_pixels"}
    assert set(named) >= {f"Can/{name}.png" for name in BOMBS.keys() - harmless}
    assert "Traceback" not in ran.err and ran.json["images"] >= 6
    assert page.stat().st_size < 2_000_000
    again = inspected(shell, album)
    assert (again["looked_at"], damaged(again)) == (0, named)


def limited() -> list[str]:
    """A limit of memory for the command itself; the processes that open images have their own below it."""
    return ["prlimit", "--as=4000000000"] if shutil.which("prlimit") else []


def test_what_is_no_image_is_shown_with_what_to_do_and_without_a_certainty(shell: Shell, album: Path) -> None:
    (album / "Can" / "layers.psd").write_bytes(b"8BPS" + bytes(40))
    (album / "Can" / "void.jpg").write_bytes(b"")
    (album / "Can" / "notes.png").write_bytes(b"notes")
    ran = shell("inspect", album, "--no-features")
    assert ran.code == 0 and "see the reason" not in ran.out
    lines = ran.out.splitlines()
    after = {line.strip(): lines[place + 1].strip() for place, line in enumerate(lines[:-1])}
    layers = "Can/layers.psd: Photoshop image: the service accepts PNG or JPEG"
    assert after[layers] == "convert it, or list it in .astica-ignore"
    assert after["Can/void.jpg: empty file"] == "copy it here again, or list it in .astica-ignore"
    [notes] = [line for line in after if line.startswith("Can/notes.png: ")]
    assert "(100 %)" not in notes and after[notes]


@pytest.mark.long
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_cut_files_are_damaged_and_the_rest_is_inspected(shell: Shell, album: Path, share: float) -> None:
    Image.open(album / "Can" / "0.jpg").save(album / "Can" / "0.png")
    for name in ("0.png", "2.jpg"):
        file = album / "Can" / name
        data = file.read_bytes()
        file.write_bytes(data[: int(share * len(data))])
    found = inspected(shell, album, "--no-features")
    assert set(damaged(found)) == {"Can/0.png", "Can/2.jpg"}
    assert all("; " in text and text.split("; ")[0] for text in damaged(found).values())


def vanishing(monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], name: str) -> None:
    """Changes a file just before it is looked at."""
    original = inspect_store.measure_image

    def measure(path: Path, *rest: Any) -> Any:
        if path.name == name:
            change(path)
        return original(path, *rest)

    monkeypatch.setattr(inspect_store, "measure_image", measure)


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Path.unlink, "changed or removed during the run; inspect again"),
        (lambda path: draw(path, 77, "JPEG"), "changed or removed during the run; inspect again"),
        (lambda path: path.write_bytes(b""), "changed or removed during the run; inspect again"),
        (
            lambda path: path.write_bytes(path.read_bytes() + bytes(21 << 20)),
            "changed or removed during the run; inspect again",
        ),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "symbolic link, not followed; replace it"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "cannot be read"),
    ],
    ids=["gone", "another image", "emptied", "grown", "a link", "a folder", "a pipe"],
)
def test_a_file_that_changes_during_the_run(
    shell: Shell,
    album: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], object],
    words: str,
) -> None:
    vanishing(monkeypatch, change, "2.jpg")
    page = tmp_path / "report.html"
    found = inspected(shell, album, "--html", str(page))
    assert set(damaged(found)) == {"Can/2.jpg"} and words in damaged(found)["Can/2.jpg"]
    assert found["images"] == 6 and "Can/2.jpg" in page.read_text("utf-8")


def test_what_was_measured_of_another_image_is_never_kept_under_the_first(
    shell: Shell, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = album / "Can" / "2.jpg"
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        vanishing(patch, lambda path: Image.new("RGB", (64, 64)).save(path), "2.jpg")
        inspected(shell, album, "--no-features")
    file.write_bytes(before)
    found = inspected(shell, album, "--no-features")
    assert found["looked_at"] == 1 and not damaged(found)
    assert "dark" not in {one["kind"] for one in found["findings"]}


def test_a_file_that_vanishes_after_it_was_looked_at(
    shell: Shell, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(album / "Can" / "2.jpg", album / "Bottle" / "same.jpg")
    page, original = tmp_path / "report.html", html_report.write_html

    def write(*given: Any) -> str:
        for file in album.glob("*/*.jpg"):
            file.unlink()
        return original(*given)

    monkeypatch.setattr(html_report, "write_html", write)
    found = inspected(shell, album, "--no-features", "--html", str(page))
    assert "several-classes" in {one["kind"] for one in found["findings"]}
    assert "Bottle/same.jpg" in page.read_text("utf-8")


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_a_file_that_becomes_unreadable_names_the_command(shell: Shell, album: Path) -> None:
    """Root reads everything unless this is taken from it."""
    program = album.parent / "run.py"
    program.write_text(
        "import sys\n"
        "from astica_sync.inspect import inspect_store\n"
        "original = inspect_store.measure_image\n"
        "def measure(path, *rest):\n"
        "    if path.name == '2.jpg':\n"
        "        path.chmod(0)\n"
        "    return original(path, *rest)\n"
        "inspect_store.measure_image = measure\n"
        "from astica_sync.cli.main import main\n"
        "main()\n"
    )
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    ran = shell.finish(shell.start("inspect", album, "--json", "--no-features", under=without, program=program))
    assert ran.code == 0, ran.err
    reason = damaged(ran.json)["Can/2.jpg"]
    assert reason == f"cannot be read: Permission denied; fix the permissions: chmod u+r {album}/Can/2.jpg"
    assert ran.json["images"] == 6


@pytest.mark.parametrize("count", [0, 1])
def test_reports_of_no_image_and_of_one(shell: Shell, album: Path, tmp_path: Path, count: int) -> None:
    for path in sorted(album.glob("*/*.jpg"))[count:]:
        path.unlink()
    page = tmp_path / "report.html"
    found = inspected(shell, album, "--html", str(page))
    assert found["images"] == count and {one["kind"] for one in found["findings"]} <= {"balance"}
    text = page.read_text("utf-8")
    assert f"<p class='faint'>{'1 image' if count else '0 images'}, " in text and text.endswith("</html>\n")
    shown = shell("inspect", str(album)).out
    assert shown.startswith("1 image" if count else "0 images") and (count or "Nothing was found." in shown)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.long
def test_markup_in_titles_and_names_is_text(shell: Shell, album: Path, tmp_path: Path) -> None:
    (album / "Can").rename(album / MARKUP)
    first = next(album.glob("*onerror*/*.jpg"))
    names = ("\"><svg onload='alert(1)'>.jpg", "' style='color: red", "&lt;b&gt; \u202egnp.jpg", "\x1b[31mred\n.jpg")
    for name in names:
        shutil.copy(first, album / "Bottle" / name)
    held = tmp_path / "<b>held" / MARKUP
    held.mkdir(parents=True)
    shutil.copy(first, held / "<i>.jpg")
    page = tmp_path / "report.html"
    found = inspected(shell, album, "--held-out", str(held.parent), "--html", str(page))
    assert any(MARKUP in path for one in found["findings"] for path in one["paths"])
    text = page.read_text("utf-8")
    allowed = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "article", "img", "br", "bdi"}
    for tag, attributes in Tags(text).found:
        assert tag in allowed | {"span", "code"}, tag
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "img" or str(attributes["src"]).startswith("data:image/jpeg;base64,")
        assert tag == "meta" or attributes.keys() <= {"lang", "class", "alt", "src"}
    assert not {"\x1b", "\u202e"} & set(text) and "&lt;img src=x" in text
    shown = shell("inspect", str(album)).out
    assert not {"\x1b[31m", "\u202e"} & set(shown) and "red\n.jpg" not in shown


def test_too_little_memory_for_numpy_is_said_before_it_is_imported(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end the process with a message of its own."""
    monkeypatch.setattr(error_advice, "_address_space", lambda: 120_000 << 10)
    monkeypatch.setattr(error_advice, "_used_address_space", lambda: 60_000 << 10)
    ran = shell("inspect", tmp_path)
    assert ran.code == 1 and "too little memory" in ran.err and "ulimit -v is 120000" in ran.err
