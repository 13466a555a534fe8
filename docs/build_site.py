"""Builds the manual as a site in ``site/html``, from the pages of this folder. Run it with ``make site``.

The pages are written for readers in the repository, so a copy of them is changed a little: what only the tests read
is left out, and links that leave this folder lead to a page of the site. A notebook becomes a page as well.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
SITE = DOCS.parent / "site"
HTML = SITE / "html"
CHANGES = "changes.md"
SHOWN = (".css", ".ipynb", ".png", ".svg")
"""What the site has besides pages."""

FOR_CONTRIBUTORS = "dev"
"""The folder of pages that the search does not find: they have each word that a user may look for, and not the answer.
A contributor has the repository to search in."""
_NOT_FOUND = "---\nsearch:\n  exclude: true\n---\n\n"

_REFERENCE = "Look it up"
_NO_NAVIGATION = "nav = []\n"
_PART = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_LISTED = re.compile(r"^- \[([^\]]+)\]\(([\w/-]+)\.(?:md|ipynb)\)", re.MULTILINE)
_COMMENT = re.compile(r"^<!-- .*? -->\n", re.MULTILINE | re.DOTALL)
_NOTEBOOK = re.compile(r"\]\((notebooks/[\w-]+)\.ipynb\)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_WORDS_OF_TESTS = re.compile(r"^( *```console)[^\n]+$", re.MULTILINE)


class Failed(Exception):
    """The site was not built; the message says why."""


def main() -> int:
    try:
        build(SITE)
    except Failed as failure:
        sys.stderr.write(f"build_site: {failure}\n")
        return 1
    sys.stdout.write(f"The manual is in {HTML}\nTo read it: python3 -m http.server --directory {HTML}\n")
    return 0


def build(site: Path) -> None:
    """Builds into ``site``, which is emptied first.

    Raises:
        Failed: a page or the settings are wrong, or Zensical is not installed.
    """
    shutil.rmtree(site, ignore_errors=True)
    pages = site / "pages"
    for source in sorted(DOCS.rglob("*")):
        name = source.relative_to(DOCS)
        if source.suffix not in (".md", *SHOWN):
            continue
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            head = _NOT_FOUND if name.parts[0] == FOR_CONTRIBUTORS else ""
            (pages / name).write_text(head + page_of_the_site(source.read_text("utf-8")), "utf-8")
        else:
            shutil.copy(source, pages / name)
        if source.suffix == ".ipynb":
            (pages / name.with_suffix(".md")).write_text(page_of_notebook(source), "utf-8")
    changes = (DOCS.parent / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")
    (pages / CHANGES).write_text(changes, "utf-8")
    settings = (DOCS / "zensical.toml").read_text("utf-8")
    nav = json.dumps(navigation((DOCS / "index.md").read_text("utf-8")), ensure_ascii=False).replace('": ', '" = ')
    (site / "zensical.toml").write_text(settings.replace(_NO_NAVIGATION, f"nav = {nav}\n"), "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0 or not (site / "html" / "index.html").exists():
        said = _COLOURS.sub("", f"{ended.stdout}{ended.stderr}").rstrip()
        raise Failed(f"zensical ended with {ended.returncode}:\n{said}")


def navigation(index: str) -> list[dict[str, list[dict[str, str]]]]:
    """The pages under the headings of the index, which comes first; the changes are the last of the reference."""
    parts = []
    for heading, text in _PART.findall(index):
        pages = [{title: f"{page}.md"} for title, page in _LISTED.findall(text)]
        if not parts:
            pages.insert(0, {"What is where": "index.md"})
        if heading == _REFERENCE:
            pages.append({"Changes": CHANGES})
        parts.append({heading: pages})
    return parts


def page_of_the_site(text: str) -> str:
    """The page without what the tests alone read, and with links that lead to pages of the site."""
    text = _WORDS_OF_TESTS.sub(r"\1", _COMMENT.sub("", text))
    text = _NOTEBOOK.sub(r"](\1.md)", text)
    return text.replace("](../CHANGELOG.md)", f"]({CHANGES})").replace("[README](../README.md) · ", "")


def page_of_notebook(notebook: Path) -> str:
    """The cells of a notebook as a page, which ends with the file to download."""
    parts = []
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"]).strip("\n")
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
    return "\n\n".join([*parts, f"[Download the notebook]({notebook.name})"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
