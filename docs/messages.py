"""Finds every error message of the program in its source: the message, and the hint on what to do."""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "astica_sync"
ROOT = "AsticaSyncError"

REASONS_IN = (
    "local/image/format.py",
    "local/scan/changed_files.py",
    "local/scan/file_hash.py",
    "local/scan/scanner.py",
    "sync/push/block_uid_collisions.py",
    "sync/push/push.py",
    "sync/push/push_round.py",
)
LONGEST_NAME = 4
"""A text with fewer spaces is a name or a format, not a reason."""
FEWEST_WORDS = 3
"""What a function returns is shown where it has so many words of its own."""
_WORD, _FILLED_IN = re.compile(r"[A-Za-z]{2,}"), re.compile(r"<[^<>]*>")
FRAGMENTS = ("<cause>; a view", "or list it", "the service accepts PNG or JPEG;", "save it again")
"""How texts begin that are put into reasons."""

HINT_IN_TEXT = {"ImageRejected": "The reason ends with what to do."}
"""Errors whose text comes from elsewhere and includes what to do."""

ADVICE = "<advice on this error of the system>"
"""Stands for one of the sentences of ``error_advice.REMEDIES``, which depends on the error."""
ADVISERS = ("remedy", "lock_remedy", "reading_remedy")


@dataclass(frozen=True, slots=True)
class Message:
    """One place where an error is raised. ``area`` is the part of the program, "" for its top files; ``hint`` is ""
    where none is given."""

    area: str
    file: str
    line: int
    kind: str
    text: str
    hint: str


@dataclass(slots=True)
class _Words:
    """The values of names in one file and function, and of keyword arguments that are texts anywhere; what the
    functions return that make texts, with the values of the names in them."""

    names: dict[str, ast.expr] = field(default_factory=dict)
    keywords: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    functions: dict[str, tuple[list[ast.expr], dict[str, ast.expr]]] = field(default_factory=dict)


@functools.cache
def find_messages(package: Path = PACKAGE) -> list[Message]:
    """Every error of the program, in the order of files and lines. One that only passes on the text of another is left
    out."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(package.rglob("*.py"))}
    kinds = _kinds(trees.values())
    keywords: dict[str, list[str]] = defaultdict(list)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg and isinstance(node.value, ast.Constant):
                keywords[node.arg].append(str(node.value.value))
    constants, functions = _constants(trees.values()), _functions(trees.values())
    found: list[Message] = []
    for path, tree in trees.items():
        area = path.relative_to(package).parts[0] if path.parent != package else ""
        for call, names in sorted(_calls(tree, kinds), key=lambda found: found[0].lineno):
            words = _Words(constants | names, keywords, functions)
            hint = (
                call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords if k.arg == "hint"), None)
            )
            kind = _name(call.func)
            text = _text(call.args[0], words)
            if re.fullmatch(r"<[^<>]*>", text) and isinstance(hint, ast.Name | ast.Attribute):
                continue
            found.append(
                Message(
                    area,
                    path.name,
                    call.lineno,
                    kind,
                    text,
                    _text(hint, words) if hint else HINT_IN_TEXT.get(kind, ""),
                )
            )
    return found


def find_reasons(package: Path = PACKAGE) -> list[str]:
    """Why a file is not a sample, or a sample failed, each with what to do; sorted. These are values and not errors:
    the longer texts that the files in ``REASONS_IN`` return, assign or pass as a ``reason``."""
    found: set[str] = set()
    for name in REASONS_IN:
        tree = ast.parse((package / name).read_text("utf-8"))
        outer = _assigned(tree.body)
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                values = [value for value in node.values if isinstance(value, ast.Constant)]
            elif isinstance(node, ast.Return | ast.Assign) or (isinstance(node, ast.keyword) and node.arg == "reason"):
                values = [node.value] if node.value else []
            else:
                continue
            texts = [_text(value, _Words(outer)) for value in values if isinstance(value, ast.Constant | ast.JoinedStr)]
            found |= {text for text in texts if text.count(" ") >= LONGEST_NAME}
    return sorted(found - {text for text in found if text.startswith(FRAGMENTS)})


def _kinds(trees: Iterable[ast.Module]) -> set[str]:
    """The names of all errors, those that are defined next to their use included."""
    bases = {
        node.name: {_name(base) for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    kinds = {ROOT}
    while more := {name for name, above in bases.items() if above & kinds} - kinds:
        kinds |= more
    return kinds


def _calls(tree: ast.Module, kinds: set[str]) -> Iterator[tuple[ast.Call, dict[str, ast.expr]]]:
    """Every call that makes an error, with the values of the names around it."""
    outer = _assigned(tree.body)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in kinds and node.args:
            around = [one for one in functions if one.lineno <= node.lineno <= (one.end_lineno or 0)]
            inner = _assigned(ast.walk(around[-1])) if around else {}
            yield node, outer | inner


def _constants(trees: Iterable[ast.Module]) -> dict[str, ast.expr]:
    """The constants that one file alone defines, which others may import."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for tree in trees:
        for name, value in _assigned(tree.body).items():
            if name.isupper():
                found[name].append(value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _functions(trees: Iterable[ast.Module]) -> dict[str, tuple[list[ast.expr], dict[str, ast.expr]]]:
    """What the functions return that may return a written text, with the values of the names in them. A name that
    two of them have is left out."""
    found: dict[str, list[tuple[list[ast.expr], dict[str, ast.expr]]]] = defaultdict(list)
    for tree in trees:
        outer = _assigned(tree.body)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Name) and node.returns.id == "str":
                returned = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value]
                found[node.name].append((returned, outer | _assigned(ast.walk(node))))
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, node.value)
    return found


def _text(node: ast.expr, words: _Words, depth: int = 0) -> str:
    """The text of an expression; what is known only at run time is ``<name>``."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, words, depth) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, words, depth)
    if isinstance(node, ast.IfExp):
        either = [_text(node.body, words, depth), _text(node.orelse, words, depth)]
        return " / ".join(dict.fromkeys(filter(None, either)))
    if isinstance(node, ast.Call) and (made := _made(node, words, depth)):
        return made
    if isinstance(node, ast.Attribute) and node.attr == "hint":
        return "As that error says."
    if isinstance(node, ast.Attribute) and node.attr in words.keywords and node.attr.startswith("when_"):
        return " / ".join(dict.fromkeys(words.keywords[node.attr]))
    if isinstance(node, ast.Name) and node.id in words.keywords and node.id.startswith("when_"):
        return " / ".join(dict.fromkeys(words.keywords[node.id]))
    if isinstance(node, ast.Name) and depth < 3:
        meant = words.names.get(node.id)
        if isinstance(meant, ast.Constant | ast.JoinedStr | ast.IfExp | ast.Call) and meant is not node:
            text = _text(meant, words, depth + 1)
            # The name of a variable says more than that of what a function was given.
            if not (isinstance(meant, ast.Call) and re.fullmatch(r"<[\w…]*>", text)):
                return text
    return f"<{_name(node).lower().strip('_') or '…'}>"


def _made(call: ast.Call, words: _Words, depth: int) -> str:
    """The text that a function makes, one of several with " / " between; "" where it is not a written one."""
    name = call.func.id if isinstance(call.func, ast.Name) else _name(call.func)
    if name in ADVISERS:
        return ADVICE
    if name not in words.functions or depth > 2:
        return ""
    returned, names = words.functions[name]
    inside = _Words(names, words.keywords, words.functions)
    texts = dict.fromkeys(_text(one, inside, depth + 1) for one in returned)
    return " / ".join(text for text in texts if len(_WORD.findall(_FILLED_IN.sub("", text))) >= FEWEST_WORDS)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _name(node.func) if not node.args else _name(node.args[0])
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    if isinstance(node, ast.BinOp):
        return _name(node.left)
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return ""
