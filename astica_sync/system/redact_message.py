"""The part of an error's message that the program itself has written, without anything that was put in: a key, a path,
a name, an address, a number.

Nothing is looked for that must not stay. What stays is found in the program's own code, or is a reason of the operating
system, so that no value can be in it, however it was written.
"""

import contextlib
import errno
import os
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = "<...>"
MOST_TEXT = 10_000
SHORTEST = 4
"""Shorter texts of the code could spell a name between them."""


def message_template(error: BaseException, made_in: str = "") -> str:
    """The message with ``<...>`` for everything that is not written in the code of the modules that raised the error,
    or that it was made ``in``. Of an error of the operating system the reason by its number."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if isinstance(error.errno, int) else ""
    reasons = [os.strerror(number) for number in errno.errorcode]
    return keep_known(str(error)[:MOST_TEXT], [*_phrases(_modules(error) | {made_in}), *reasons])


def keep_known(text: str, known: Iterable[str]) -> str:
    """The text with ``<...>`` for what is none of the ``known`` texts. The longest are found first."""
    kept = bytearray(len(text))
    for phrase in sorted({*known} - {""}, key=len, reverse=True):
        start = text.find(phrase)
        while start >= 0:
            end = start + len(phrase)
            if not any(kept[start:end]):
                kept[start:end] = b"\1" * len(phrase)
            start = text.find(phrase, end)
    parts: list[str] = []
    for place, letter in enumerate(text):
        if kept[place]:
            parts.append(letter)
        elif not parts or parts[-1] != LEFT_OUT:
            parts.append(LEFT_OUT)
    return "".join(parts)


def _modules(error: BaseException) -> set[str]:
    """The modules of this program that the error has passed through, and that raised what it was made from."""
    found: set[str] = set()
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
                found.add(str(frame.f_globals.get("__name__", "")))
        one = one.__cause__ or one.__context__
    return found


def _phrases(modules: Iterable[str]) -> Iterator[str]:
    """The texts in the code of the modules that are more than a word, and the names of variables."""
    import importlib.util

    for name in modules:
        # An error that a user's own program has made has words of that program.
        if name.partition(".")[0] != PACKAGE.name:
            continue
        with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):
            spec = importlib.util.find_spec(name)
            code = spec.loader.get_code(name) if spec is not None else None  # type: ignore[union-attr]
            yield from (text for text in _constants(code) if _is_phrase(text))


def _is_phrase(text: str) -> bool:
    return len(text) >= SHORTEST and (any(letter.isspace() for letter in text) or text.startswith("ASTICA_"))


def _constants(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | frozenset):
        for one in value:
            yield from _constants(one)
    elif isinstance(value, CodeType):
        yield from _constants(value.co_consts)
