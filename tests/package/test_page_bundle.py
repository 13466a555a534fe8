"""What hatch_build.py makes of the page for a wheel, and that nothing of the page is left out of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hatch_build
from hatch_build import LOADED, STATIC
from tests.harness.page_bundle import make_bundle

IMPORTS = {
    ".js": re.compile(r"""\b(?:from|import)\s*"([^"]+)\""""),
    ".css": re.compile(r"""@import "([^"]+)\""""),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def loaded_by_pages(static: Path) -> set[Path]:
    """The scripts and style sheets that the HTML files name, and those that these import."""
    found: set[Path] = set()
    waiting = [static / name for page in static.glob("*.html") for name in LOADED.findall(page.read_text("utf-8"))]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported(file, static)
    return found


def imported(file: Path, static: Path) -> Iterator[Path]:
    for name in IMPORTS[file.suffix].findall(file.read_text("utf-8")):
        absolute = name.startswith("/static/")
        yield static / name.removeprefix("/static/") if absolute else (file.parent / name).resolve()


def files(folder: Path, *suffixes: str) -> set[Path]:
    return {file for file in folder.rglob("*") if file.suffix in suffixes}


def test_every_script_and_style_sheet_of_the_page_is_loaded() -> None:
    """A file that no page leads to would be in no wheel."""
    own = {file for file in files(STATIC, ".js", ".css") if file.parent.name != "vendor"}
    assert {file for file in loaded_by_pages(STATIC) if file.parent.name != "vendor"} == own


def test_the_scripts_load_nothing_that_the_bundle_would_not_have() -> None:
    """esbuild cannot follow an address that is made at run time."""
    for file in files(STATIC / "js", ".js"):
        assert not re.search(r"\bimport\s*\(|\bimport\.meta\b|\bnew (Shared)?Worker\b", file.read_text("utf-8")), file


@pytest.mark.long
def test_a_bundle_has_what_the_pages_load_and_the_licences(bundle: Path) -> None:
    there = files(bundle, ".js", ".css")
    assert there == loaded_by_pages(bundle)
    names = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    shared = {name for name in names if name.startswith("js/shared-")}
    assert len(shared) == 1
    assert names - shared == {
        *("index.html", "setup.html", "icon.svg", "vendor/LICENSES.txt"),
        *("css/base.css", "css/page.css", "css/setup.css"),
        *("js/main.js", "js/setup/setup.js", "js/theme_first.js"),
    }
    licences = (bundle / "vendor" / "LICENSES.txt").read_text("utf-8")
    for module in hatch_build.LICENSES:
        assert f"{module}\n\n" in licences
    for file in there:
        assert file.read_text("utf-8").startswith(hatch_build.BANNER)


@pytest.mark.long
def test_the_same_page_gives_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    make_bundle(tmp_path)
    for file in bundle.rglob("*"):
        if file.is_file():
            assert (tmp_path / file.relative_to(bundle)).read_bytes() == file.read_bytes()
