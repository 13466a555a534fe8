"""Damages a JSON answer of the service in one place, as a seed decides: values, names, bytes, encodings."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Draw = random.Random
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Raw:
    """A value that is written as it is, valid or not."""

    text: str


@dataclass(frozen=True)
class Twice:
    """An object with one of its names twice."""

    fields: dict[str, Any]
    name: str
    second: Any


VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    2**64,
    -(2**63),
    10**400,
    1e300,
    -1e300,
    5e-324,
    "",
    " ",
    "0",
    "-7",
    "1e300",
    "nan",
    "Infinity",
    "9" * 400,
    "true",
    "\x00",
    "\x1b[2J\x1b]0;title\x07",
    "a\nb\rc\td",
    "\u202egnp.exe\u2066",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\con",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "e\u0301",
    "\ufeff",
    "\U0010ffff",
    "x" * 3000,
    [],
    [None],
    [[[[]]]],
    {},
    {"id": 1},
    {"": {"": ""}},
    Raw("NaN"),
    Raw("-Infinity"),
    Raw("1e999"),
    Raw("01"),
    Raw("0x10"),
    Raw("1" + "0" * 6000),
    Raw('"\\ud800"'),
    Raw('"\\udfff\\ud800"'),
    Raw('"\\x41"'),
    Raw('"\x01"'),
    Raw("undefined"),
    Raw("'text'"),
    Raw("[" * 50_000),
    Raw("[" * 2000 + "]" * 2000),
    Raw('{"a":' * 2000 + "1" + "}" * 2000),
    Raw(""),
    Raw("1,"),
)


def mutate(answer: bytes, draw: Draw) -> tuple[bytes, Path]:
    """The answer with one damage, and the path of the value that was changed; empty where it was the whole."""
    if draw.random() < 0.3:
        return _BYTES[draw.randrange(len(_BYTES))](answer, draw), ()
    tree = json.loads(answer)
    path = draw.choice(list(_paths(tree)))
    return _write(_changed(tree, path, draw)).encode("utf-8", "surrogatepass"), path


def _paths(tree: Any, before: Path = ()) -> Any:
    yield before
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in inner:
        yield from _paths(value, (*before, name))


def _changed(tree: Any, path: Path, draw: Draw) -> Any:
    if not path:
        return draw.choice((*VALUES, [tree], {"status": tree}, Raw(_write(tree) * 2)))
    tree = copy.deepcopy(tree)
    holder = tree
    for name in path[:-1]:
        holder = holder[name]
    name = path[-1]
    match draw.randrange(6):
        case 0:
            del holder[name]
        case 1 if isinstance(holder, dict):
            holder[draw.choice((str(name).upper(), f"{name} ", f"{name}\x00", ""))] = holder.pop(name)
        case 2 if isinstance(holder, list):
            holder.insert(draw.randrange(len(holder) + 1), copy.deepcopy(holder[name]))
        case 3:
            holder[name] = [holder[name]] if draw.random() < 0.5 else str(holder[name])
        case 4 if isinstance(holder, dict):
            twice = Twice(dict(holder), str(name), draw.choice(VALUES))
            return _replaced(tree, path[:-1], twice)
        case _:
            holder[name] = draw.choice(VALUES)
    return tree


def _replaced(tree: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    holder = tree
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return tree


def _write(value: Any) -> str:
    match value:
        case Raw(text):
            return text
        case Twice(fields, name, second):
            return f"{_write(fields)[:-1]}, {json.dumps(name)}: {_write(second)}}}"
        case dict():
            return "{" + ", ".join(f"{json.dumps(name)}: {_write(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_write, value)) + "]"
    return json.dumps(value)


def _flipped(answer: bytes, draw: Draw) -> bytes:
    changed = bytearray(answer)
    for _ in range(draw.randint(1, 3)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _shortened(answer: bytes, draw: Draw) -> bytes:
    start = draw.randrange(len(answer))
    return answer[:start] + answer[start + draw.randint(1, 20) :]


_BYTES: tuple[Callable[[bytes, Draw], bytes], ...] = (
    lambda answer, draw: answer[: draw.randrange(len(answer))],
    lambda answer, draw: answer[draw.randrange(len(answer)) :],
    _flipped,
    _shortened,
    lambda answer, draw: b"\xef\xbb\xbf" * draw.randint(1, 2) + answer,
    lambda answer, draw: answer.decode().encode(draw.choice(("utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"))),
    lambda answer, draw: b")]}',\n" + answer,
    lambda answer, draw: answer + draw.choice((b"\0", b"\r\n \n", b"<!-- cached -->", answer, b"}")),
    lambda answer, draw: b"<html><body>" + answer + b"</body></html>",
    lambda answer, draw: b"callback(" + answer + b");",
    lambda answer, draw: b"\n" * draw.randint(1, 9000) + answer,
    lambda answer, draw: json.dumps(answer.decode()).encode(),
    lambda answer, draw: answer.replace(b'"', draw.choice((b"'", b"\xe2\x80\x9d", b'\\"'))),
    lambda answer, draw: bytes(draw.randrange(256) for _ in range(draw.randint(0, 200))),
)
