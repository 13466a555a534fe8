"""The part of an error's message that the program itself has written, without anything that was put in: a key, a path,
a name, an address, a number.

Nothing is looked for that must not stay. What stays is found in the program's own code, or is a reason of the operating
system, so that no value can be in it, however it was written.
"""

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = "<...>"
MOST_TEXT = 10_000
SHORTEST = 4
"""Shorter texts of the code could spell a name between them."""


def message_template(error: BaseException) -> str:
    """The message with ``<...>`` for everything that is not written in the code of the program. Of an error of the
    operating system the reason by its number."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if isinstance(error.errno, int) else ""
    return keep_known(str(error)[:MOST_TEXT], program_phrases())


def program_phrases() -> frozenset[str]:
    """The texts in the code of this program's loaded modules, and the reasons of the operating system.

    Only a loaded module can have made a message, be it in a helper that has returned before the error was raised.
    """
    # An error that a user's own program has made has words of that program.
    own = [name for name in tuple(sys.modules) if name.partition(".")[0] == PACKAGE.name]
    return frozenset().union(*map(_phrases, own), map(os.strerror, errno.errorcode))


def keep_known(text: str, known: Iterable[str], harmless: Iterable[tuple[int, int]] = ()) -> str:
    """The text with ``<...>`` for what is none of the ``known`` texts. The longest are found first. ``harmless`` are
    the begin and end of other parts that stay."""
    kept = bytearray(len(text))
    for phrase in sorted({*known} - {""}, key=len, reverse=True):
        start = text.find(phrase)
        while start >= 0:
            end = start + len(phrase)
            # A short text within a word, as "it is " after "limit is ", is not one that was put there.
            within = phrase[0].isalnum() and start > 0 and text[start - 1].isalnum() and not kept[start - 1]
            if not within and not any(kept[start:end]):
                kept[start:end] = b"\1" * len(phrase)
            start = text.find(phrase, end)
    for start, end in harmless:
        kept[start:end] = b"\1" * (end - start)
    parts: list[str] = []
    for place, letter in enumerate(text):
        if kept[place]:
            parts.append(letter)
        elif not parts or parts[-1] != LEFT_OUT:
            parts.append(LEFT_OUT)
    return "".join(parts)


@functools.cache
def _phrases(module: str) -> frozenset[str]:
    """The texts in the code of a module that are more than a word, and the names of variables."""
    import importlib.util

    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):
        spec = importlib.util.find_spec(module)
        code = spec.loader.get_code(module) if spec is not None else None  # type: ignore[union-attr]
        return frozenset(text for text in _constants(code) if _is_phrase(text))
    return frozenset()


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
