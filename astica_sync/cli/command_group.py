"""Groups of commands: complete help lines under headings, suggestions for unknown names, flags that go anywhere."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.render.verbosity import Verbosity, set_verbosity

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class CommandGroup(click.Group):
    """A group whose help shows the first sentence of each command in full."""

    aliases: Mapping[str, str] = {}
    """Other names of commands: ``{alias: name}``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which the commands were added."""
        return list(self.commands)

    def headings(self, ctx: click.Context) -> Iterator[tuple[str, list[str]]]:
        """Each heading of the help, and the names of the commands under it."""
        yield "Commands", self.list_commands(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)), default=0)
        for heading, names in self.headings(ctx):
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [
                (self._shown(name).ljust(width), first_sentence(command) + self._also(name))
                for name, command in commands
                if command is not None
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def _shown(self, name: str) -> str:
        """The name that the list shows first: the one that the manual uses."""
        return next((alias for alias, meant in self.aliases.items() if meant == name), name)

    def _also(self, name: str) -> str:
        return f" (also: {name})" if self._shown(name) != name else ""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[Any]]":
        from click.shell_completion import CompletionItem

        flags = click.Command.shell_complete(self, ctx, incomplete)
        names = [name for name in (*self.list_commands(ctx), *self.aliases) if name.startswith(incomplete)]
        commands = [(name, self.get_command(ctx, name)) for name in names]
        return [
            *(CompletionItem(name, help=first_sentence(one)) for name, one in commands if one and not one.hidden),
            *flags,
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not (name.startswith("-") or ctx.resilient_parsing) and self.get_command(ctx, name) is None:
            import difflib

            near = difflib.get_close_matches(name, [*self.list_commands(ctx), *self.aliases], n=1)
            ctx.fail(f"No such command {name!r}.{f' Did you mean {near[0]!r}?' if near else ''}")
        return super().resolve_command(ctx, args)


class LazyCommandGroup(CommandGroup):
    """The group of all commands, each imported when it is used: most need neither the network nor an image library.

    Args:
        table: for each heading of the help the commands under it, as ``{name: "module:function"}``.
        aliases: other names of commands. Help shows them next to the command.
    """

    def __init__(
        self, *args: Any, table: Mapping[str, Mapping[str, str]], aliases: Mapping[str, str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._targets = {name: target for names in table.values() for name, target in names.items()}
        self.aliases = aliases

    def headings(self, ctx: click.Context) -> Iterator[tuple[str, list[str]]]:
        yield from ((heading, list(names)) for heading, names in self._table.items())

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self._targets.get(self.aliases.get(cmd_name, cmd_name))
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        _add_global_flags(command)
        return command


def first_sentence(command: click.Command) -> str:
    """What a list of commands says about this one."""
    paragraph = " ".join((command.short_help or command.help or "").partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")


def global_flags(*, hidden: bool) -> list[click.Option]:
    """The flags that may stand before or after the name of a command."""

    def quiet(ctx: click.Context, param: click.Parameter, given: bool) -> None:
        if given:
            set_verbosity(ctx, Verbosity.QUIET)

    def verbose(ctx: click.Context, param: click.Parameter, given: bool) -> None:
        if given:
            set_verbosity(ctx, Verbosity.VERBOSE)

    def flag(*names: str, help: str, callback: Any = None) -> click.Option:
        return click.Option(
            names, is_flag=True, is_eager=True, expose_value=False, hidden=hidden, help=help, callback=callback
        )

    return [
        flag("-q", "--quiet", help="Print errors and the result only.", callback=quiet),
        flag("-v", "--verbose", help="Print each step on standard error.", callback=verbose),
        flag(
            "--debug",
            help="Print the traceback of an error. The key, passwords and Authorization headers are left out; paths, "
            "names of files and class titles are in it, so read it before you send it.",
        ),
    ]


def _add_global_flags(command: click.Command) -> None:
    """Adds the global flags to a command and all commands below it, hidden, since the main help shows them."""
    if not any("--quiet" in param.opts for param in command.params):
        command.params += global_flags(hidden=True)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _add_global_flags(below)
