"""The English of messages, help, docstrings, comments and documents: plain technical words, none of the old ones."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each with what to write in its place.
OLD_WORDS = {
    r"mend(s|ed|ing|able)?": "fix, repair",
    r"nobody": "no one, or what is missing: no user, no process",
    r"somebody|someone else": "another user, another process",
    r"whoever": "a user who, a caller that",
    r"a person|persons": "the user",
    r"a word from you": "your confirmation",
    r"told": "notified, reported, shown",
    r"heed(s|ed|ing)?": "follow, read",
    r"strangers?": "other, unmanaged",
    r"alike": "as well, both",
    r"anew": "again, from scratch",
    r"hears?|heard": "receive, is notified",
}
PATTERN = re.compile(rf"\b({'|'.join(OLD_WORDS)})\b", re.IGNORECASE)


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """The line number and text of what is written in a file for people: all of a page; of code the comments and the
    strings, docstrings and messages among them."""
    text = file.read_text("utf-8")
    if file.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def find_old_words(file: Path) -> list[str]:
    name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
    return [
        f"{name}:{number}: {found[0]!r} in {text.strip()[:100]!r}"
        for number, text in texts_of(file)
        for found in PATTERN.finditer(text)
    ]


CODE = sorted((ROOT / "astica_sync").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "changes").glob("*.md"))]


@pytest.mark.parametrize("files", [CODE, PAGES], ids=["code", "documents"])
def test_no_old_words_are_left(files: list[Path]) -> None:
    assert [line for file in files for line in find_old_words(file)] == []


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("page.md", "Nobody mends it.\n\nHe was told.", 3),
        ("page.md", "Recommended: amend the folder; a personal key.", 0),
        ("code.py", '"""Whoever reads it."""\nMESSAGE = f"{1} strangers"  # anew\nnobody = 1\n', 3),
    ],
)
def test_an_old_word_is_found(tmp_path: Path, name: str, text: str, count: int) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert len(find_old_words(file)) == count
