"""The wheel has the same code as the repository, without comments and the docstrings that no user sees."""

import ast
import base64
import csv
import hashlib
import io
import tokenize
from pathlib import Path

import pytest

from release import compress_wheel
from release.compress_wheel import (
    COMMANDS,
    DOCUMENTED,
    shorten_indents,
    strip_comments,
    strip_docstrings,
    without_comments,
)

ROOT = Path(__file__).parents[2]
SOURCE = '''\
#!/usr/bin/env python
"""Text with a # in it."""

x = "# no comment"  # a comment
# one with its own line
y: int = "1"  # type: ignore[assignment]
def f():
    # first
    return f"{x} # {y}"  \t# last
'''


def digest_of(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def test_comments_go_and_lines_strings_and_what_type_checkers_read_stay() -> None:
    stripped = strip_comments(SOURCE)
    assert stripped.splitlines() == [
        "",
        '"""Text with a # in it."""',
        "",
        'x = "# no comment"',
        "",
        'y: int = "1"  # type: ignore[assignment]',
        "def f():",
        "",
        '    return f"{x} # {y}"',
    ]
    assert strip_comments("x = '\x0c' # a\ny = 2 # b") == "x = '\x0c'\ny = 2"
    assert strip_comments("x = 1\r\n# a\r\ny = 2 # b") == "x = 1\r\n\r\ny = 2"


@pytest.mark.long
def test_every_file_of_the_program_is_the_same_code_without_its_comments() -> None:
    saved = 0
    for file in sorted((ROOT / "astica_sync").rglob("*.py")):
        source = file.read_text("utf-8")
        stripped = strip_comments(source, file.name)
        assert ast.dump(ast.parse(stripped), include_attributes=True) == ast.dump(
            ast.parse(source), include_attributes=True
        )
        tokens = tokenize.generate_tokens(io.StringIO(stripped).readline)
        assert not [one for one in tokens if one.type == tokenize.COMMENT and "type:" not in one.string], file
        saved += len(source) - len(stripped)
    assert saved > 20_000


INDENTED = '''\
def f(a,
      b):
    """Text.

        In columns.
    """
    if a:
        return f"""{b}
        {f"{a}"}
    """
'''


def test_indents_are_short_and_texts_stay() -> None:
    short = shorten_indents(INDENTED)
    assert short.splitlines() == [
        "def f(a,",
        "  b):",
        ' """Text.',
        "",
        "        In columns.",
        '    """',
        " if a:",
        '  return f"""{b}',
        '        {f"{a}"}',
        '    """',
    ]


DOCUMENTED_SOURCE = '''\
"""The module."""
@dataclass
class A:
    """The class."""
    x: int
    """A name."""
    def one(self):
        """Two
        lines."""
        return """no docstring"""
    def two(self): ...
    async def three(self):
        """All that it has."""
class B(A):
    """Another class."""
    y: int
class C(A):
    """All that it has."""
'''


def test_docstrings_go_but_those_of_decorated_classes_and_what_is_all_of_a_block() -> None:
    lines = DOCUMENTED_SOURCE.splitlines()
    expected = ["", *lines[1:5], "", lines[6], "", "", *lines[9:14], "", *lines[15:]]
    assert strip_docstrings(DOCUMENTED_SOURCE).splitlines() == expected
    assert strip_docstrings('"""Only a text."""\n') == "\n"


def test_of_a_decorated_class_the_first_line_of_the_docstring_stays() -> None:
    first = '@dataclass\nclass A:\n    """The class,'
    second = '@dataclass\nclass B:\n    r"""One'
    source = f'{first}\n    in two lines."""\n    x: int\n{second}\n\n    b."""\n'
    expected = f'{first}"""\n\n    x: int\n{second}"""\n\n\n'
    assert strip_docstrings(source) == expected
    assert strip_docstrings(source, keeps=lambda block: True) == source


@pytest.mark.long
def test_every_file_is_the_same_code_without_its_docstrings() -> None:
    for file in sorted((ROOT / "astica_sync").rglob("*.py")):
        # It compares the code with what it was made from.
        stripped = strip_docstrings(file.read_text("utf-8"), file.name)
        assert len(stripped.splitlines()) == len(file.read_text("utf-8").splitlines()), file


def test_what_users_see_keeps_its_docstrings() -> None:
    content = {f"{folder}a.py": DOCUMENTED_SOURCE.encode() for folder in (*DOCUMENTED, "astica_sync/core/")}
    made = without_comments(content)
    assert [name for name, data in made.items() if b"lines." in data] == [f"{folder}a.py" for folder in DOCUMENTED]


COMMAND_SOURCE = '''\
"""The module."""
@group.command
def push():
    """The help of the command."""
    return 1
def helper():
    """Which no user sees."""
    return 2
'''


def test_commands_keep_their_help_and_nothing_else_there_does() -> None:
    made = without_comments({f"{COMMANDS[0]}a.py": COMMAND_SOURCE.encode()})[f"{COMMANDS[0]}a.py"].decode()
    lines = COMMAND_SOURCE.splitlines()
    assert [line.strip() for line in made.splitlines()] == [line.strip() for line in ["", *lines[1:6], "", *lines[7:]]]


def test_what_would_be_other_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress_wheel.tokenize, "COMMENT", tokenize.NAME)
    with pytest.raises(SystemExit, match=r"one\.py: without its comments"):
        strip_comments("x = 1\ny = x\n", "one.py")


def test_the_record_has_the_hashes_of_what_is_in_the_wheel() -> None:
    content = {
        "astica_sync/a.py": SOURCE.encode(),
        "astica_sync/b,c.txt": b"# stays",
        "astica_sync-1.dist-info/METADATA": b"# stays",
    }
    rows = [[name, digest_of(data), str(len(data))] for name, data in content.items()]
    record = io.StringIO()
    csv.writer(record, lineterminator="\n").writerows([*rows, ["astica_sync-1.dist-info/RECORD", "", ""]])
    content["astica_sync-1.dist-info/RECORD"] = record.getvalue().encode()
    made = without_comments(content)
    assert made["astica_sync/b,c.txt"] == b"# stays" and len(made["astica_sync/a.py"]) < len(SOURCE)
    found = list(csv.reader(io.StringIO(made["astica_sync-1.dist-info/RECORD"].decode())))
    kept = [(name, data) for name, data in made.items() if "RECORD" not in name]
    assert found[:-1] == [[name, digest_of(data), str(len(data))] for name, data in kept]
    assert found[-1] == ["astica_sync-1.dist-info/RECORD", "", ""]
    assert without_comments(made) == made
