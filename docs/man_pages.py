"""The manual pages, one for each command, and the completion scripts: what a package installs for ``man`` and shells.

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


def man_pages(commands: Iterable[tuple[str, click.Command]]) -> dict[str, str]:
    """Each manual page by its path in this folder. ``commands`` are words that call a command, with the command."""
    return {f"man/{name.replace(' ', '-')}.1": _page(name, command) for name, command in commands}


def _page(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    title = name.replace(" ", "-")
    lines = [
        '.\\" Written by docs/man_pages.py from the code; change it there and run "make docs".',
        f'.TH {_text(title.upper())} 1 "" {PROGRAM} "Manual of {PROGRAM}"',
        ".SH NAME",
        f"{_text(title)} \\- {_text(_summary(command))}",
        ".SH SYNOPSIS",
        f".B {_text(name)}",
        _text(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_description(command),
    ]
    aliases = [alias for alias, meant in ALIASES.items() if name == f"{PROGRAM} {meant}"]
    if aliases:
        lines += [".PP", f"Also: {_text(', '.join(f'{PROGRAM} {alias}' for alias in aliases))}"]
    lines += [".SH OPTIONS", *_options(command, context)]
    if isinstance(command, click.Group):
        lines += list(_commands(name, command, context))
    if name == PROGRAM:
        lines.append(".SH EXIT STATUS")
        for code, meaning in EXIT_CODES.items():
            lines += [".TP", f".B {code}", _text(meaning)]
    else:
        above = name.rpartition(" ")[0].replace(" ", "-")
        lines += [".SH SEE ALSO", f".BR {_text(above)} (1)"]
    return "\n".join(lines) + "\n"


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
    yield from (".TP", f".B {_text('-h, --help')}", "Show the help and exit.")


def _commands(name: str, command: click.Group, context: click.Context) -> Iterator[str]:
    words = command.list_commands(context)
    groups = GROUPS if name == PROGRAM else {"commands": words}
    for heading, members in groups.items():
        yield f".SH {_text(heading.upper())}"
        for word in members:
            below = command.get_command(context, word)
            assert below is not None
            yield from (".TP", f".BR {_text(f'{name} {word}'.replace(' ', '-'))} (1)", _text(_summary(below)))


def _text(text: str) -> str:
    """Text of a man page: nothing in it is a request or an escape of roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)
