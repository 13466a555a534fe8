"""Makes a wheel smaller: its code without comments and docstrings that no user sees, with short indents, packed with
zopfli.

    python release/compress_wheel.py WHEEL

The repository and the sdist have them. What users see keeps its docstrings: the Python API, whose ``help`` shows them,
and the commands, whose help is made of them. Line numbers stay, so that a traceback names the same line as the
repository; each file is compared with what it was made from, by its syntax tree. zopfli is Google's own encoder of the
same format, some 3 % smaller; it runs in the environment of the release's tools.
"""

import ast
import base64
import csv
import hashlib
import io
import re
import sys
import tokenize
import zipfile
from collections.abc import Callable
from pathlib import Path

DOCUMENTED = ("astica_sync/api/",)
"""The parts of the package whose functions keep their docstrings."""
COMMANDS = ("astica_sync/cli/",)
"""Those whose decorated functions do: the commands."""
_FOR_CHECKERS = re.compile(r"#\s*(?:type|mypy|pyright)\s*:")
"""A comment that the type checkers of users read."""


_Parent = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Keeps = Callable[[_Parent], bool]
"""Whether the descriptions in a block stay."""


def _keeps_none(_: _Parent) -> bool:
    return False


def _is_command(block: _Parent) -> bool:
    return isinstance(block, ast.FunctionDef) and bool(block.decorator_list)


def _is_public(block: _Parent) -> bool:
    return isinstance(block, ast.Module) or not block.name.startswith("_") or block.name.endswith("__")


def compress_wheel(wheel: Path) -> None:
    """Replaces the wheel. The same wheel gives the same bytes."""
    import zopfli

    packed = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as opened, zopfli.ZipFile(packed, "w") as written:
        members = [(one, opened.read(one)) for one in opened.infolist()]
        content = without_comments({one.filename: data for one, data in members})
        for one, _ in members:
            written.writestr(one, content[one.filename])
    with zipfile.ZipFile(packed) as again:
        found = [(one.filename, one.external_attr, again.read(one)) for one in again.infolist()]
    if found != [(one.filename, one.external_attr, content[one.filename]) for one, _ in members]:
        raise SystemExit(f"{wheel.name}: the packed wheel has other files")
    packed.replace(wheel)


def without_comments(content: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a wheel by name, with the code without comments and inner docstrings, and with the hashes and sizes
    in ``RECORD`` that belong to it."""
    made = {
        name: _smaller(name, data.decode()).encode() if name.endswith(".py") else data for name, data in content.items()
    }
    for name in made:
        if name.endswith(".dist-info/RECORD"):
            made[name] = _record(made[name].decode(), made).encode()
    return made


def strip_comments(source: str, name: str = "") -> str:
    """The same code, on the same lines, without comments.

    Raises:
        SystemExit: it is not the same code.
    """
    lines = list(io.StringIO(source))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not _FOR_CHECKERS.match(token.string):
            line, column = token.start
            before = lines[line - 1]
            ending = before[len(before.rstrip("\r\n")) :]
            lines[line - 1] = before[:column].rstrip() + ending
    stripped = "".join(lines)
    if _tree(stripped) != _tree(source):
        raise SystemExit(f"{name}: without its comments it is other code")
    return stripped


def strip_docstrings(source: str, name: str = "", keeps: Keeps = _keeps_none) -> str:
    """The same code, on the same lines, without docstrings and without the strings that describe a name above them,
    which Python throws away. Of those of decorated classes the first line stays: a data class without one would make
    one at each start. What ``keeps`` is true of keeps all of its own.

    Raises:
        SystemExit: it is not the same code.
    """
    lines = list(io.StringIO(source))
    tree = ast.parse(source)
    for docstring in _of_decorated_classes(tree, keeps):
        assert docstring.end_lineno is not None
        if docstring.end_lineno > docstring.lineno:
            first = lines[docstring.lineno - 1]
            ending = first[len(first.rstrip("\r\n")) :]
            lines[docstring.lineno - 1] = f'{first.rstrip()}"""{ending}'
            for number in range(docstring.lineno, docstring.end_lineno):
                line = lines[number]
                lines[number] = line[len(line.rstrip("\r\n")) :]
    for _, described in _descriptions(tree, keeps):
        assert described.end_lineno is not None
        for number in range(described.lineno - 1, described.end_lineno):
            line = lines[number]
            lines[number] = line[len(line.rstrip("\r\n")) :]
    stripped = "".join(lines)
    if _tree(stripped, keeps) != _tree(source, keeps):
        raise SystemExit(f"{name}: without its docstrings it is other code")
    return stripped


def _smaller(name: str, source: str) -> str:
    stripped = strip_comments(source, name)
    keeps = _is_public if name.startswith(DOCUMENTED) else _is_command if name.startswith(COMMANDS) else _keeps_none
    return shorten_indents(strip_docstrings(stripped, name, keeps), name)


def shorten_indents(source: str, name: str = "") -> str:
    """The same code, on the same lines, indented by one space in place of four; texts of several lines stay.

    Raises:
        SystemExit: it is not the same code.
    """
    lines = list(io.StringIO(source))
    begins, texts = list[int](), set[int]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            texts.update(range(token.start[0] + 1, token.end[0] + 1))
        elif kind.endswith("STRING_START"):
            begins.append(token.start[0])
        elif kind.endswith("STRING_END"):
            texts.update(range(begins.pop() + 1, token.end[0] + 1))
    for number, line in enumerate(lines, 1):
        code = line.lstrip(" ")
        if number not in texts and code.strip():
            lines[number - 1] = " " * -(-(len(line) - len(code)) // 4) + code
    short = "".join(lines)
    if _without_columns(short) != _without_columns(source):
        raise SystemExit(f"{name}: with shorter indents it is other code")
    return short


def _without_columns(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if hasattr(node, "col_offset"):
            node.col_offset = node.end_col_offset = 0
    return ast.dump(tree, include_attributes=True)


def _descriptions(tree: ast.Module, keeps: Keeps) -> list[tuple[_Parent, ast.stmt]]:
    """The strings that stand alone, each with what it is in, but the docstrings of decorated classes, of what ``keeps``
    is true of, and what is all that a class or a function has."""
    found: list[tuple[_Parent, ast.stmt]] = []
    for parent in ast.walk(tree):
        if isinstance(parent, _Parent):
            for place, one in enumerate(parent.body):
                text = (
                    isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and type(one.value.value) is str
                )
                decorated = isinstance(parent, ast.ClassDef) and bool(parent.decorator_list)
                alone = len(parent.body) == 1 and parent is not tree
                stays = keeps(parent) or (place == 0 and (decorated or alone))
                if text and not stays:
                    found.append((parent, one))
    return found


def _of_decorated_classes(tree: ast.Module, keeps: Keeps) -> list[ast.stmt]:
    """Their docstrings, in three quotation marks, but of those that ``keeps`` is true of."""
    return [
        block.body[0]
        for block in ast.walk(tree)
        if isinstance(block, ast.ClassDef)
        and block.decorator_list
        and not keeps(block)
        and ast.get_docstring(block) is not None
    ]


def _tree(source: str, keeps: Keeps | None = None) -> str:
    """The syntax tree; without the descriptions that go where ``keeps`` is given."""
    tree = ast.parse(source)
    if keeps is not None:
        for docstring in _of_decorated_classes(tree, keeps):
            assert isinstance(docstring, ast.Expr)
            ast.copy_location(docstring, docstring.value)
            docstring.value = ast.Constant("", lineno=0, col_offset=0)
            docstring.end_lineno = docstring.end_col_offset = 0
        for parent, one in _descriptions(tree, keeps):
            parent.body.remove(one)
        for block in ast.walk(tree):
            if isinstance(block, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                block.end_lineno = block.end_col_offset = 0  # it moves where a description was the last line
    return ast.dump(tree, include_attributes=True)


def _record(text: str, content: dict[str, bytes]) -> str:
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    for path, digest, size in csv.reader(io.StringIO(text)):
        if digest and path in content:
            hashed = base64.urlsafe_b64encode(hashlib.sha256(content[path]).digest()).decode().rstrip("=")
            digest, size = f"sha256={hashed}", str(len(content[path]))
        rows.writerow([path, digest, size])
    return written.getvalue()


if __name__ == "__main__":
    compress_wheel(Path(sys.argv[1]))
