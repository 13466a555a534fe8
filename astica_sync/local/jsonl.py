"""Files of JSON lines: one JSON object per line, appended to and never changed in place.

A crash while appending can leave a torn line at the end. The rule for all readers: a line that is not a JSON object is
skipped, wherever it is. The rule for appending: after a torn line a new one is begun, so that a crash costs the lines
of one append at most. (The beginning of an object is never an object, so a torn line cannot be read as a shorter one.)
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from astica_sync.local.filesystem import FileSystem

LONGEST_LINE = 1 << 24
"""Bytes; no line of this program is longer. A sparse file has one line of any length."""

_encode = json.JSONEncoder(ensure_ascii=False).encode


def read_jsonl(files: FileSystem, path: Path) -> Iterator[dict[str, Any]]:
    """Every object in the file, in order; nothing where there is no file.

    Raises:
        OSError: the file exists and cannot be read.
    """
    with contextlib.suppress(FileNotFoundError):
        for line in read_lines(files, path):
            fields = parse_line(line)
            if fields is not None:
                yield fields


def read_lines(files: FileSystem, path: Path) -> Iterator[bytes]:
    """Every line as its bytes, without the newline and empty lines, valid or not.

    Raises:
        OSError: the file cannot be read, or does not exist.
    """
    rest = b""
    with files.open_read(path) as file:
        for chunk in files.chunks(file):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                raise OSError(errno.EFBIG, "a line of it is too long", str(path))
            yield from filter(None, lines)
    if rest:
        yield rest


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text that may have been planted.

    Raises:
        ValueError: the text is not JSON, or nested deeper than any of this program.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_small_json(files: FileSystem, path: Path, most: int = 1 << 20) -> Any:
    """The value of a file of JSON with ``most`` bytes at the most; a link is not followed.

    Raises:
        OSError: the file cannot be read, or is longer.
        ValueError: as ``parse_json``.
    """
    with files.open_read(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, "the file is too long", str(path))
    return parse_json(data)


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None where the line is not a JSON object."""
    try:
        fields = parse_json(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def format_line(fields: dict[str, Any]) -> bytes:
    """One line. A name that is not valid UTF-8 keeps its bytes as lone surrogates (PEP 383), which need an escape."""
    try:
        return _encode(fields).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(fields).encode() + b"\n"


def append_jsonl(files: FileSystem, path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Appends objects, durable at the return, with one sync for all.

    Raises:
        OSError: not written, or perhaps in part. Appending the same again repeats lines and loses none.
    """
    lines = b"".join(map(format_line, records))
    if lines:
        files.append_synced(path, b"\n" + lines if _ends_torn(files, path) else lines)


def _ends_torn(files: FileSystem, path: Path) -> bool:
    try:
        file = files.open_read(path)
    except FileNotFoundError:
        return False
    with file:
        if files.fstat(file).st_size == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
