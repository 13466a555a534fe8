"""The manual page of all commands, and the completion scripts: what a package installs for ``man`` and shells.

One page, as rclone's: it can be searched, and 43 files of a few hundred bytes each would be a fortieth of the wheel.

Our own writer, since click-man runs examples into one line and leaves out the commands of groups that load them on use.
"""

import inspect
import re
from collections.abc import Iterable, Iterator

import click

from astica_sync.cli.exit_codes import EXIT_CODES
from astica_sync.cli.main import ALIASES, GROUPS, cli
from astica_sync.cli.start.completion import SHELLS, completion_script

PROGRAM = "astica-sync"
_SCRIPTS = {"bash": PROGRAM, "zsh": f"_{PROGRAM}", "fish": f"{PROGRAM}.fish"}


def completion_scripts() -> dict[str, str]:
    """Each completion script by its path in this folder."""
    return {f"completions/{shell}/{_SCRIPTS[shell]}": completion_script(cli, shell) for shell in SHELLS}


def man_page(commands: Iterable[tuple[str, click.Command]]) -> str:
    """The manual page. ``commands`` are words that call a command, with the command; the first is the program."""
    (program, whole), *below = commands
    context = click.Context(whole, info_name=program)
    lines = [
        '.\\" Written by docs/man_pages.py from the code; change it there and run "make docs".',
        f'.TH {_text(program.upper())} 1 "" {PROGRAM} "Manual of {PROGRAM}"',
        ".SH NAME",
        f"{_text(program)} \\- {_text(_summary(whole))}",
        ".SH SYNOPSIS",
        f".B {_text(program)}",
        _text(" ".join(whole.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_description(whole),
        ".SH OPTIONS",
        *_options(whole, context),
    ]
    group_of = {word: heading for heading, words in GROUPS.items() for word in words}
    for heading in GROUPS:
        lines.append(f".SH {_text(heading.upper())}")
        for name, command in below:
            if group_of[name.split()[1]] == heading:
                lines += _section(name, command)
    lines.append(".SH EXIT STATUS")
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", f".B {code}", _text(meaning)]
    return "\n".join(lines) + "\n"


def _section(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    yield f".SS {_text(f'{name} {usage}'.strip())}"
    yield from _description(command)
    aliases = [alias for alias, meant in ALIASES.items() if name == f"{PROGRAM} {meant}"]
    if aliases:
        yield from (".PP", f"Also: {_text(', '.join(f'{PROGRAM} {alias}' for alias in aliases))}")
    yield from _options(command, context)


def _summary(command: click.Command) -> str:
    # Without a limit click cuts the summary.
    return command.get_short_help_str(limit=1000).rstrip(".")


def _description(command: click.Command) -> Iterator[str]:
    """The paragraphs of the help; those that begin with ``\\b`` are examples, whose lines stay as they are."""
    for number, paragraph in enumerate(inspect.cleandoc(command.help or "").split("\n\n")):
        kept = paragraph.removeprefix("\b\n")
        if kept != paragraph:
            yield from (".PP", ".RS", ".nf", *map(_text, kept.splitlines()), ".fi", ".RE")
        elif paragraph:
            yield from ([".PP"] if number else [])
            yield _text(" ".join(paragraph.split()))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for option in command.get_params(context):
        # Its names come from the context in which the command was called first.
        if isinstance(option, click.Option) and not option.hidden and "--help" not in option.opts:
            record = option.get_help_record(context)
            if record is not None:
                yield from (".TP", f".B {_text(record[0])}", _text(record[1]))
    if context.info_name == PROGRAM:
        yield from (".TP", f".B {_text('-h, --help')}", "Show the help, also of a command, and exit.")


def _text(text: str) -> str:
    """Text of a man page: nothing in it is a request or an escape of roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)
