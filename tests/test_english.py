"""The English of messages, help, docstrings, comments, names and documents: plain technical words, no old ones.

The strings of tests are not read, apart from their docstrings: some are what a user or a service may write.
"""

import ast
import io
import itertools
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

PLURAL = re.compile(
    r" (samples|images|files|folders|classes|requests|objects|rows|versions|removals|models|places|problems|lines)\b"
)
NEVER_ONE = {
    ("cli/start/demo.py", "stored"),
    ("cli/start/probe.py", "cost.usual"),
    ("cli/start/probe.py", "settings.limit"),
    ("cli/training/evaluation_text.py", "held_out"),
    ("exchange/layouts/path_table.py", "len(rows)"),
    ("exchange/sources/zip_archive.py", "len(self._infos)"),
    ("sync/apply/circuit_breaker.py", "self._refused"),
    ("system/start_checks.py", "soft"),
    ("training/evaluation/html_curves.py", "measured"),
    ("training/evaluation/html_class_differences.py", "len(comparison.classes)"),
    ("training/evaluation/html_confusion.py", "len(metrics.titles)"),
    ("training/version_history.py", "len(matching)"),
}
"""Files and counts in them that are never one where the text is shown."""
WITH_A_PLURAL = {
    ("core/observation/sample_table.py", "len(self)"),
    ("core/plan/guard.py", "count.managed"),
    ("core/service_facts/judge_answers.py", "len(tried)"),
    ("core/service_facts/judge_samples.py", "len(samples)"),
    ("features/ridge_head.py", "len(self._rows)"),
    ("remote/responses.py", "info.classes"),
    ("remote/responses.py", "info.samples"),
    ("remote/shared_budget/open_budget.py", "limit"),
    ("remote/shared_budget/shared_rate_limiter.py", "reply.limit"),
    ("training/move_held_out.py", "len(paths)"),
}
"""Those that have the plural for one as well: seldom shown, or only in an error of the code."""


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """The line number and text of what is written in a file for people: all of a page; of code the comments, the words
    of the names that it defines, and the strings, of tests the docstrings among them alone."""
    text = file.read_text("utf-8")
    if file.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    tree = ast.parse(text)
    strings = _docstrings_in(tree) if _is_test(file) else _strings_in(tree)
    for node in strings:
        for offset, line in enumerate(node.value.splitlines()):
            yield node.lineno + offset, line
    for number, name in _names_in(tree):
        yield number, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("_", " ")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _is_test(file: Path) -> bool:
    return file.is_relative_to(ROOT / "tests") or file.name.startswith("test_")


def _strings_in(tree: ast.Module) -> Iterator[Any]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _docstrings_in(tree: ast.Module) -> Iterator[Any]:
    """Also the strings that stand below a name, which document it."""
    statements = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return (node for node in _strings_in(tree) if node in statements)


def _names_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and name of each function, class, parameter and variable that is made here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr


def find_old_words(file: Path) -> list[str]:
    name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
    return [
        f"{name}:{number}: {found[0]!r} in {text.strip()[:100]!r}"
        for number, text in texts_of(file)
        for found in PATTERN.finditer(text)
    ]


CODE = sorted((ROOT / "astica_sync").rglob("*.py"))
TESTS = [
    file
    for folder in ("tests", "benchmarks", "fixtures", "release")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if file != Path(__file__)
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "changes").glob("*.md"))]


@pytest.mark.parametrize("files", [CODE, TESTS, PAGES], ids=["code", "tests", "documents"])
def test_no_old_words_are_left(files: list[Path]) -> None:
    assert [line for file in files for line in find_old_words(file)] == []


def find_plurals(file: Path) -> list[tuple[int, str]]:
    """The line and the value of each count that is followed by a plural, as in ``f"{count} files"``, which is wrong for
    one. A text for another count than one stands in a condition; a limit is a constant."""
    tree = ast.parse(file.read_text("utf-8"))
    conditional = {id(node) for choice in ast.walk(tree) if isinstance(choice, ast.IfExp) for node in ast.walk(choice)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) and id(node) not in conditional)
    return [
        (text.lineno, ast.unparse(value.value))
        for text in texts
        for value, after in itertools.pairwise(text.values)
        if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant) and PLURAL.match(str(after.value))
        if not ast.unparse(value.value).isupper()
    ]


def test_a_count_is_not_followed_by_a_plural_where_it_may_be_one() -> None:
    found = {
        (file.relative_to(ROOT / "astica_sync").as_posix(), value) for file in CODE for _, value in find_plurals(file)
    }
    assert found - NEVER_ONE - WITH_A_PLURAL == set()
    assert (NEVER_ONE | WITH_A_PLURAL) - found == set(), "these lines are gone"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('f"{n} files"', 1),
        ('f"{len(n):,} images, and {m} rows"', 2),
        ('"1 file" if n == 1 else f"{n} files"', 0),
        ('f"{MOST} files"', 0),
        ('f"{n} file"', 0),
        ('f"{n} filesystems"', 0),
    ],
)
def test_a_plural_after_a_count_is_found(tmp_path: Path, text: str, count: int) -> None:
    file = tmp_path / "code.py"
    file.write_text(text)
    assert len(find_plurals(file)) == count


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("page.md", "Nobody mends it.\n\nHe was told.", 3),
        ("page.md", "Recommended: amend the folder; a personal key.", 0),
        ("code.py", '"""Whoever reads it."""\nMESSAGE = f"{1} strangers"  # anew\nx = "told"\n', 4),
        ("code.py", "def who_hears(stranger):\n    self.told = mended_at = 1\n\n\nclass ToldThings: ...\n", 5),
        ("code.py", "overheard = retold = heard_ = 1\n", 1),
        ("test_code.py", 'def test_nobody_is_told():\n    """As whoever."""\n    told = "anew"\n', 4),
        ("test_code.py", 'NAMES = ("told",)\n"""Those of somebody."""  # alike\n', 2),
    ],
)
def test_an_old_word_is_found(tmp_path: Path, name: str, text: str, count: int) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert len(find_old_words(file)) == count
