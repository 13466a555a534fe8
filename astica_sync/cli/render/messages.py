"""Lines on the terminal, and messages on standard error: errors always, notes unless ``--quiet``."""

import contextlib
import os
import re
import select
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from astica_sync.cli.render.text import display_width, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.errors import AsticaSyncError, BadKey, Unreachable
from astica_sync.shell_quote import quote_path

_QUOTED = r"""(?:\$'(?:[^'\\]|\\.)*'|'[^']*'|"[^"]*")"""
_PLAIN = r"""[^\s,;)'"]"""
_NO_VERB = r"(?!(?:has|lists|names|prints|removes|shows|works) )"
_COMMAND = re.compile(
    # An apostrophe inside a word quotes nothing; a full stop or colon after a word ends the command, and so does the
    # verb of a sentence about it.
    r"(?<![\w./-])(?:astica-sync|cat(?= >)|chmod|cp|df|findmnt|launchctl|ls|lsattr|mv|pip|rm|sudo|systemctl)"
    rf"(?: {_NO_VERB}(?:{_QUOTED}(?:{_QUOTED}|{_PLAIN})*|{_PLAIN}+(?:(?<==){_QUOTED}+)?)(?<![\w'\"][.:]))+"
    # An option alone, to be added to the command that was run.
    rf"|(?<![^\s(])--[a-z-]+ (?:{_QUOTED}+|[a-z]+={_PLAIN}+)"
)
"""A command with its arguments, as hints have them."""

_LABEL = re.compile(r"[A-Z][a-z]+ {2,}(?<=^.{9})(?=\S)")

_ARGUMENT = rf"(?:{_QUOTED}|(?!-){_PLAIN}*[^\s,;)'\".:])"
_NO_WORD = r"(?![a-z]+(?:[\s.,;)]|$))"
_ABOUT_THE_STORE = re.compile(
    r"(?<![\w./-])astica-sync (?:adopt|backup (?:list|prune|verify)|log|push|snapshot list|split(?= --)|status|train"
    r"|versions|watch(?: [a-z]+)?"
    # These have arguments of their own.
    rf"|(?:backup (?:mirror|restore)|evaluate|remove-sample|snapshot (?:diff|show))(?: {_NO_WORD}{_ARGUMENT}){{,2}})"
    # What follows is read no further than options and their values, so that no sentence is taken for a command.
    rf"(?: -[a-z-]+(?: {_ARGUMENT})?)*(?=[.,;)\x1b]|$)"
)
_LOOK_FOR_SIGNALS = 0.1
"""After how many seconds at most a question notices a signal that came just before it began to wait."""

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False}
_named: list[str] = []
"""The store that the commands of hints name, where they would find another one or none without."""

_drawn: list[Callable[[], None]] = []
"""What erases that which is drawn on the terminal now, if anything is."""


_asking: list[str] = []
"""The question that waits for an answer, if one does."""


def is_asking() -> bool:
    """Whether a question waits for its answer: nothing else goes on, so a request to stop ends the question."""
    return bool(_asking)


def set_drawn(erase: Callable[[], None] | None) -> None:
    """Something is drawn on the terminal, which ``erase`` removes before a line is printed; None: nothing is."""
    _drawn[:] = [erase] if erase is not None else []


def is_drawn() -> bool:
    """Whether something is drawn on the terminal now, which other output would leave there."""
    return bool(_drawn)


def set_named_store(folder: Path | None) -> None:
    """The user named the store. A command that is pasted from a hint finds it in the current folder alone."""
    _named.clear()
    if folder is not None and not _is_here(folder):
        _named.append(os.fspath(folder))


def _is_here(folder: Path) -> bool:
    """Whether a command finds this store without its name. Where the current folder is gone, nothing is found in it."""
    try:
        return Path.cwd().resolve().is_relative_to(folder.resolve())
    except OSError:
        return False


def name_store(text: str, store: str | None = None) -> str:
    """The text with the store in the commands that are about it: the given one, or the one that the user named."""
    named = store if store is not None else "".join(_named)
    return _ABOUT_THE_STORE.sub(lambda found: _with_store(found[0], named), text) if named else text


def name_store_elsewhere(text: str, store: str) -> str:
    """The text with this store in its commands, where they would not find it in the current folder."""
    named = name_store(text, store) if store else text
    # What names no command is written without a look at the disk, which may not answer.
    return text if named == text or _is_here(Path(store)) else named


def _with_store(command: str, store: str) -> str:
    if "--store" in command or "backup restore --from" in command:
        # The store that a mirror gives is a new one, in the folder after --to.
        return command
    # The watcher takes the names of its stores as arguments, and its sub-commands an option.
    option = "" if re.match(r"astica-sync watch(?! [a-z])", command) else "--store "
    return f"{command} {option}{quote_path(store)}"


def is_plain_terminal() -> bool:
    """Whether the user wants no colours (https://no-color.org), or the terminal has none."""
    return bool(os.environ.get("NO_COLOR")) or has_no_cursor()


def has_no_cursor() -> bool:
    """Whether the terminal has nothing but lines, as the one in an editor or on a serial line."""
    return os.environ.get("TERM") in ("dumb", "unknown")


def terminal_width(*, err: bool = False) -> int | None:
    """The columns of the terminal that is written to; None where it is none."""
    stream = sys.stderr if err else sys.stdout
    if stream is None or not stream.isatty():
        return None
    if not os.environ.get("COLUMNS", "").strip("0").isdecimal():
        # Python asks standard output, which may be a pipe while messages go to a terminal.
        with contextlib.suppress(OSError, ValueError):
            if columns := os.get_terminal_size(stream.fileno()).columns:
                return columns
    return shutil.get_terminal_size().columns


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Prints lines. On a terminal, those that are too long are wrapped between words."""
    for erase in _drawn:
        erase()
    lines = map(name_store, lines)
    width = terminal_width(err=err)
    if width is not None:
        lines = (part for line in lines for part in wrap(line, width))
    click.echo("\n".join(lines), err=err)


def wrap(line: str, width: int) -> list[str]:
    """A line in pieces of at most ``width`` columns, the later ones indented. A command is never broken, and neither
    is a quoted path in it, so that both can be copied; only a line of one colour keeps it."""
    text = click.unstyle(line)
    if display_width(text) <= width:
        return [line]
    before, _, after = line.partition(text) if text in line else ("", "", "")
    # What follows a label, as in the first lines of a status, stays below its beginning.
    label = _LABEL.match(text)
    indent = " " * (label.end() if label else len(text) - len(text.lstrip(" ")) + 2)
    joined = _COMMAND.sub(lambda found: found[0].replace(" ", "\0"), text)
    pieces = [""]
    for space, word in re.findall("( *)([^ ]+)", joined):
        longer = f"{pieces[-1]}{space}{word}"
        if not pieces[-1].strip() or display_width(longer.replace("\0", " ")) <= width:
            pieces[-1] = longer
        else:
            # What is as long as a line has no indent, so that it is in one line.
            pieces.append(indent[: max(0, width - display_width(word.replace("\0", " ")))] + word)
    return [before + piece.replace("\0", " ") + after for piece in pieces]


def continue_command(text: str, width: int) -> list[str]:
    """A command that is longer than a row, in rows that a shell reads as one command when they are pasted: each but the
    last ends with a backslash. An argument stays whole. What is not a command is returned as it is."""
    if not _COMMAND.match(text):
        return [text]
    rows = [""]
    for word in re.findall(rf"(?:{_QUOTED}|\S)+", text):
        longer = f"{rows[-1]} {word}".lstrip()
        if not rows[-1] or display_width(longer) <= width - 2:
            rows[-1] = longer
        else:
            rows[-1] += " \\"
            rows.append(word)
    return rows


def print_error(error: AsticaSyncError) -> None:
    """Prints the message, and the hint on a second line where the error has one."""
    # A message may repeat what a file or the service says, or the name of a folder, and a line feed in it would begin a
    # line that looks like one of ours.
    hint = error.hint
    if isinstance(error, BadKey):
        # Loaded here: it is the error of a command that has loaded the settings already.
        from astica_sync.cli.render.local_hints import name_key_source

        hint = name_key_source(hint)
    if isinstance(error, Unreachable):
        from astica_sync.cli.render.local_hints import name_sandbox

        hint = name_sandbox(error)
    print_lines(map(safe, [f"astica-sync: {error}", *([f"  {hint}"] if hint else [])]), err=True)


def confirm(question: str, *, default: bool = False, err: bool = True) -> bool:
    """Asks a question until the answer is y or n; Enter is the ``default``. It is wrapped as other lines are, with the
    choice in one piece.

    Raises:
        click.Abort: the input has ended, or Ctrl-C was typed.
    """

    text = f"{question} {'[Y/n]' if default else '[y/N]'}"
    width = terminal_width(err=err)
    *before, last = [text] if width is None else wrap(text, width - len(": "))
    for line in before:
        click.echo(line, err=err)
    usual = "y" if default else "n"
    _asking.append(question)
    try:
        while True:
            click.echo(f"{last}: ", nl=False, err=err)
            _wait_for_answer()
            answer = str(click.prompt("", prompt_suffix="", default=usual, show_default=False, err=err))
            value = _ANSWERS.get(answer.strip().lower())
            if value is not None:
                return value
            click.echo("Error: answer y or n", err=err)
    except KeyboardInterrupt:
        raise click.Abort from None
    finally:
        _asking.clear()


def _wait_for_answer() -> None:
    """Waits until a line was typed at the terminal. A signal that arrives just before the interpreter reads the line is
    handled only after the next key, so the reading begins when there is something to read."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stdin.isatty():
            while not select.select([sys.stdin], [], [], _LOOK_FOR_SIGNALS)[0]:
                pass


def print_note(text: str) -> None:
    """Prints what is worth knowing and is not the result."""
    if verbosity() > Verbosity.QUIET:
        print_lines([text], err=True)
