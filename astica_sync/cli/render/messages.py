"""Lines on the terminal, and messages on standard error: errors always, notes unless ``--quiet``."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable

import click

from astica_sync.cli.render.text import safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.errors import AsticaSyncError

_drawn: list[Callable[[], None]] = []
"""What erases that which is drawn on the terminal now, if anything is."""


def set_drawn(erase: Callable[[], None] | None) -> None:
    """Something is drawn on the terminal, which ``erase`` removes before a line is printed; None: nothing is."""
    _drawn[:] = [erase] if erase is not None else []


def is_drawn() -> bool:
    """Whether something is drawn on the terminal now, which other output would leave there."""
    return bool(_drawn)


def is_plain_terminal() -> bool:
    """Whether the user wants no colours (https://no-color.org), or the terminal has none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Prints lines. On a terminal, those that are too long are wrapped between words."""
    for erase in _drawn:
        erase()
    stream = sys.stderr if err else sys.stdout
    if stream is not None and stream.isatty():
        width = shutil.get_terminal_size().columns
        lines = (part for line in lines for part in wrap(line, width))
    click.echo("\n".join(lines), err=err)


def wrap(line: str, width: int) -> list[str]:
    """A line in pieces of at most ``width`` characters, the later ones indented. A command of ours is never broken, so
    that it can be copied; only a line of one colour keeps it."""
    text = click.unstyle(line)
    if len(text) <= width:
        return [line]
    before, _, after = line.partition(text)
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    joined = re.sub(r"astica-sync(?: [^\s,;)]+)+", lambda found: found[0].replace(" ", "\0"), text)
    pieces = textwrap.wrap(
        joined,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )
    return [before + piece.replace("\0", " ") + after for piece in pieces]


def print_error(error: AsticaSyncError) -> None:
    """Prints the message, and the hint on a second line where the error has one."""
    # A message may repeat what a file or the service says, or the name of a folder, and a line feed in it would begin a
    # line that looks like one of ours.
    print_lines(map(safe, [f"astica-sync: {error}", *([f"  {error.hint}"] if error.hint else [])]), err=True)


def print_note(text: str) -> None:
    """Prints what is worth knowing and is not the result."""
    if verbosity() > Verbosity.QUIET:
        print_lines([text], err=True)
