"""Random mutations of files: of bytes, of JSON values, and of the cells of a SQLite database.

The same seed always gives the same mutation.
"""

import codecs
import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e300, -1e300, 2**63, 10**400, float("nan"), float("inf"), "", " ", "null", "NaN",
    "..", "../../planted", "/etc/passwd", "~", "CON", "a/b", "a\x00b", "\x1b[31mred", "\u202egpj.exe", "\ud800", "é",
    "e\u0301", "=1+1", "x" * 70_000, "0" * 32, "http://192.0.2.1:9", [], {}, [[]], {"a": {"b": []}},
    "2026-13-45T99:99:99Z",
)  # fmt: skip
JUNK = (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b'"', b"{", b"}", b"[" * 3000, b"\x1b[2J", b"9" * 500)
ENCODINGS = ("utf-16", "utf-32", "utf-8-sig")


def mutate_bytes(data: bytes, dice: random.Random) -> bytes:
    """One to three changes of bytes: flipped, cut, doubled, dropped, inserted, or written in another encoding."""
    for _ in range(dice.choice((1, 1, 2, 3))):
        place, length = dice.randrange(len(data) + 1), dice.choice((1, 2, 7, 40, 400))
        match dice.choice(("flip", "cut", "head", "double", "drop", "insert", "empty", "recode", "zeros")):
            case "flip" if place < len(data):
                data = data[:place] + bytes([data[place] ^ (1 << dice.randrange(8))]) + data[place + 1 :]
            case "cut":
                data = data[:place]
            case "head":
                data = data[place:]
            case "double":
                data = data[:place] + data[place : place + length] * 2 + data[place + length :]
            case "drop":
                data = data[:place] + data[place + length :]
            case "insert":
                data = data[:place] + dice.choice(JUNK) + data[place:]
            case "empty" if dice.random() < 0.2:
                data = b""
            case "recode":
                data = codecs.decode(data, "utf-8", "replace").encode(dice.choice(ENCODINGS))
            case "zeros":
                data = data[:place] + bytes(min(length, len(data) - place)) + data[place + length :]
    return data


def mutate_json(value: Any, dice: random.Random) -> Any:
    """One value somewhere in it is odd, missing, twice as deep, or under another name."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(sorted(value))
        changed = dict(value)
        match dice.choice(("value", "value", "value", "missing", "renamed", "added")):
            case "value":
                changed[key] = mutate_json(value[key], dice)
            case "missing":
                del changed[key]
            case "renamed":
                changed[f"{key} "] = changed.pop(key)
            case "added":
                changed[dice.choice(("", "__class__", "format", "x" * 5000))] = dice.choice(ODD_VALUES)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        changes = [*value[:place], mutate_json(value[place], dice), *value[place + 1 :]]
        return dice.choice((changes, value * 2, value[:place], [*value, value[place]]))
    return dice.choice(ODD_VALUES)


def mutate_text(data: bytes, dice: random.Random) -> bytes:
    """A file of JSON, or of JSON lines: one of its values, its order of lines, or its bytes."""
    try:
        lines = [json.loads(line) for line in data.splitlines()]
    except ValueError:
        try:
            lines = [json.loads(data)]
        except ValueError:
            return mutate_bytes(data, dice)
    match dice.choice(("value", "value", "value", "lines", "bytes")):
        case "value" if lines:
            place = dice.randrange(len(lines))
            lines[place] = mutate_json(lines[place], dice)
        case "lines" if lines:
            dice.shuffle(lines)
            lines = dice.choice((lines, lines * 2, lines[1:]))
        case _:
            return mutate_bytes(data, dice)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def mutate_database(path: Path, dice: random.Random) -> None:
    """Odd values in cells, rows or tables that are missing, another version of the schema, or changed bytes."""
    if dice.random() < 0.3:
        data = bytearray(path.read_bytes())
        for _ in range(dice.choice((1, 3, 200))):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data if dice.random() < 0.7 else data[: dice.randrange(len(data))])
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = dice.choice(sorted(tables))
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        column, value = dice.choice(columns), dice.choice(ODD_VALUES)
        match dice.choice(("cell", "cell", "cell", "cell", "rows", "table", "column", "version")):
            case "cell":
                odd = _as_cell(value)
                where = "" if dice.random() < 0.3 else f" WHERE rowid % 3 = {dice.randrange(3)}"
                mutation = f'UPDATE OR IGNORE "{table}" SET "{column}" = ?{where}'
                _try(connection, mutation, (odd,)) or _try(connection, mutation.partition(" WHERE")[0], (odd,))
            case "rows":
                _try(connection, f'DELETE FROM "{table}"')
            case "table":
                _try(connection, f'DROP TABLE "{table}"')
            case "column":
                _try(connection, f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO other')
            case "version":
                connection.execute(f"PRAGMA user_version = {dice.choice((0, 1, 2, 99, 2**31 - 1))}")


def _as_cell(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return float(min(value, 10**300))
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass") if "\ud800" in value else value
    return json.dumps(value) if isinstance(value, list | dict) else value


def _try(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...] = ()) -> bool:
    try:
        connection.execute(statement, values)
    except sqlite3.Error:
        return False
    return True
