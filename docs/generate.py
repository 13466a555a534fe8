"""Writes the generated pages: ``commands.md``, ``settings.md``, ``exit-codes.md``, ``errors.md`` and ``left-out.md`` in
``reference``, the tree of the package in ``dev/design.md``, the manual pages and the completion scripts.

Run it with ``make docs``; a test fails while a page differs from what this would write.
"""

import ast
import inspect
import os
import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

import click
from man_pages import completion_scripts, man_page
from messages import find_messages, find_reasons

from astica_sync import config, errors
from astica_sync.cli.exit_codes import EXIT_CODES
from astica_sync.cli.main import ALIASES, GROUPS, cli
from astica_sync.local.scan.litter import LITTER
from astica_sync.system.error_advice import REMEDIES

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from the code; change it there and run `make docs`. -->"

CLI_HEAD = """\
After this page you can look up each command and each of its options.

A command that is about a store finds it as git does: in the current folder or above it, or in the folder that `--store`
names. `--help` explains each command on the terminal. What `--json` prints is in [JSON](json.md), how a command ends in
[exit codes and errors](exit-codes.md). `python -P -m astica_sync` is the same as `astica-sync`;
without `-P`, Python imports modules from the current folder, which may be a downloaded store.
"""

SETTINGS_HEAD = """\
# Settings

After this page you can change a limit, an address or a threshold, and know which value is used.

A value comes from the first of these that has one:

1. a flag on the command line,
2. the environment variable,
3. `astica-sync.toml` in the store,
4. `config.toml` in the user's configuration folder (on Linux `~/.config/astica-sync/`),
5. the default; that of `quarantine` is longer where [a probe](../probe.md) has seen that views are late.

An unknown name or a value of the wrong kind is an error that names its place. A store that was made with another
`train_url` than the default keeps it unless something above gives another one.

A store may come from another user, so its `astica-sync.toml` has two limits. It can make a protection tighter and not
looser: lower `limit`, `max_remove`, `max_remove_class` and `min_remove`, and raise `limit_window` and `quarantine`. It
cannot set `budget`, `budget_share` and `budget_pool`. And an address that it names gets your API key only after
`astica-sync trust`: see [security](../security.md).

"""

SETTINGS_FOOT = f"""\

In your own `config.toml`:

```toml
limit = 180
max_remove = "20%"
class_remove = false
```

What the thresholds of the guard are for: [what the guard does](../undo.md#what-the-guard-does).

## The API key

It is read apart from the settings, never from a file of the store, since stores are shared, and it is never written.
The first of these that has one is used:

1. the variable `{config.KEY_VARIABLE}`,
2. the file named by `{config.KEY_FILE_VARIABLE}`, which only its owner may be able to read (`chmod 600`),
3. the system keyring, under the service `{config.KEYRING_SERVICE}` and the name `api-key`:
   `pip install 'astica-sync[keyring]'`, then `keyring set {config.KEYRING_SERVICE} api-key`.
"""

EXIT_HEAD = """\
# Exit codes and errors

After this page you can write a script that reacts to how a command ended.

Messages are printed on standard error, results on standard output. A script may rely on the code:

"""

ERRORS_HEAD = """\

A push that has several endings uses the gravest: interrupted, then an error, then a guard's refusal, then failed
samples.

## Errors

Every error has two lines, what happened and what to do; `--debug` shows its traceback.

"""

REMOTE_HEAD = """\

## Errors of the service

What a failed request proves decides what happens next. *not done*: it may be sent again. *refused*: it would be refused
again. *unknown*: it may have been done, so nothing is repeated before an observation has resolved it. Some end the run,
since more requests would only use up the limit.

"""


REASONS_HEAD = """\
## Problems, and samples that failed

These end no command. `status` and `push` list them with the file; the reason itself contains what to do.
"""

ERRORS_PAGE_HEAD = """\
# Every error message

After this page you can look up a message and what to do about it.

Each error has two lines on standard error: what happened, and what to do. These are all that the program has, by the
part they are about; names in angle brackets are filled in when the error occurs, and where one of several texts is
printed there is ` / ` between them. A sample that failed is listed with both in one line. [Exit codes](exit-codes.md)
has what each kind means to a script, and [troubleshooting](../troubleshooting.md) the way from a symptom to its cause.

"""

SYSTEM_HEAD = """
## Errors of the system

Where a file or a folder cannot be read or written, the message ends with what the system says, and the advice depends
on it.

"""

AREAS = {
    "": "Settings, the key, databases, being stopped",
    "cli": "The command line",
    "system": "The system around the program",
    "local": "The store and its backup",
    "remote": "The service",
    "remote/shared_budget": "The request budget that several machines share on a server",
    "remote/fleet": "The machines that share a request budget",
    "sync": "A push",
    "training": "Training, versions, detection",
    "features": "Features of images",
    "exchange": "Import and export",
    "bucket": "Buckets, and a store whose images lie in one",
    "executor": "Work on images beyond one machine",
    "inspect": "Looking for wrong labels and bad images",
    "mirror": "The mirror of the backup",
    "inbox": "Images of machines without a key",
    "doctor": "The doctor",
    "api": "From Python",
    "page": "The page in the browser",
    "sandbox": "The sandbox",
}


LEFT_OUT_HEAD = """\
# What is left out

After this page you know which files never become samples, whatever is in them, and how to change that.

Three kinds of files and folders are left out: hidden ones, of which the name begins with a dot; what the ignore file
names; and litter, the names below. This lists them, with the reason of each:

```
astica-sync status --ignored
```

## Litter

Upper and lower case are the same in these names, other than in the ignore file, and `*` stands for any characters.

"""

LEFT_OUT_END = """
Copies that a sync client makes of a file with a conflict (`a (conflicted copy 2025-03-04).jpg`,
`a.sync-conflict-20250304-120000-ABCDEFG.jpg`) are images like others, since each may be the only copy of an edit. Two
lines in the ignore file leave them out: `*conflicted copy*` and `*.sync-conflict-*`.

## The ignore file

`.astica-ignore` in the store names what else is left out, in the syntax of `.gitignore`. A rule with `!` takes
litter in again:

| rule | does |
|---|---|
| `drafts/` | leaves out each folder `drafts` |
| `/notes/` | leaves out the folder `notes` in the store itself |
| `*.gif` | leaves out files by their names |
| `Can/old/*` | leaves out what is in one folder |
| `!Can/old/keep.png` | but not this one |
| `!*.bak` | takes in files that are litter by their names |
| `!@eaDir/` | takes in folders that are litter by their names |

Upper and lower case differ here, as in `.gitignore`: `*.mov` does not leave out `IMG_0042.MOV`. A line for each
spelling does, or `*.[mM][oO][vV]`.

Rules that take in everything (`!*/`, `!**`) do not take in litter. Hidden files are always left out.

The file is text in UTF-8, or in UTF-16 or UTF-32 with a byte-order mark. Where it cannot be read (another encoding, a
link, a folder in its place, more than 256 KB) each command that scans the store stops, since what it leaves out would
be uploaded.

## Samples that are left out later

A sample that is on the service stays there when a new rule, or a newer version of the program, leaves its file out: the
[guard](../undo.md#what-the-guard-does) refuses the removal. `astica-sync push --yes` removes it; a rule with `!`
keeps it.
"""


def pages() -> dict[str, str]:
    """Each generated page by its name in this folder."""
    return {
        "reference/commands.md": _cli_page(),
        "reference/settings.md": _settings_page(),
        "reference/exit-codes.md": _exit_page(),
        "reference/errors.md": _errors_page(),
        "reference/left-out.md": _left_out_page(),
        "man/astica-sync.1": man_page(commands()),
        **completion_scripts(),
    }


def commands(command: click.Command = cli, name: str = "astica-sync") -> Iterator[tuple[str, click.Command]]:
    """The command, and every command below it, with the words that call it."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            if below is not None:
                yield from commands(below, f"{name} {word}")


def _cli_page() -> str:
    parts = ["# Commands\n", f"{NOTE}\n"]
    parts.append(CLI_HEAD)
    for name, command in commands():
        if name.count(" ") == 1:
            parts += [f"## {heading}\n" for heading, names in GROUPS.items() if next(iter(names)) == name.split()[1]]
        parts.append(f"{'#' * (name.count(' ') + 2)} {name}\n")
        parts += [
            f"Also: `astica-sync {alias}`\n" for alias, meant in ALIASES.items() if name == f"astica-sync {meant}"
        ]
        parts += _help(command)
        context = click.Context(command, info_name=name)
        parts.append(f"Usage: `{name} {' '.join(command.collect_usage_pieces(context))}`\n")
        parts += _options(command, context)
    return "\n".join(parts)


def _help(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        kept = paragraph.removeprefix("\b\n")
        if kept != paragraph:
            yield f"```sh\n{kept}\n```\n"
        elif paragraph:
            yield f"{paragraph}\n"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [
        record
        for option in command.get_params(context)
        if isinstance(option, click.Option) and "--help" not in option.opts and not option.hidden
        if (record := option.get_help_record(context)) is not None
    ]
    if records:
        yield _table(["option", "meaning"], [[f"`{names}`", meaning] for names, meaning in records])


def _settings_page() -> str:
    rows = [
        [
            f"`{setting.name}`",
            f"`{setting.variable}`" if setting.variable else "",
            # An empty list is refused: the setting is left out.
            f"`{_toml(setting.default)}`" if setting.default != () else "not set",
            _kind(setting),
            setting.help,
        ]
        for setting in config.SETTINGS
    ]
    table = _table(["name in a file", "variable", "default", "takes", "meaning"], rows)
    head, _, rest = SETTINGS_HEAD.partition("\n\n")
    return f"{head}\n\n{NOTE}\n\n{rest}{table}{SETTINGS_FOOT}"


def _kind(setting: config.Setting) -> str:
    """What a value has to be, in the words of the error that refuses another."""
    try:
        setting.parse("gopher:" if isinstance(setting.default, str) else -1.5)
    except ValueError as refusal:
        return str(refusal)
    raise AssertionError(f"{setting.name} takes anything")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _exit_page() -> str:
    head, _, rest = EXIT_HEAD.partition("\n\n")
    codes = _table(["code", "meaning"], [[str(code), meaning] for code, meaning in EXIT_CODES.items()])
    known = list(_errors(errors.AsticaSyncError))
    local = [[f"`{kind.__name__}`", str(kind.exit_code), _meaning(kind)] for kind in known if not _is_remote(kind)]
    remote = [
        [f"`{kind.__name__}`", str(kind.outcome), "yes" if kind.stops_run else "", _meaning(kind)]
        for kind in known
        if issubclass(kind, errors.RemoteError)
    ]
    return (
        f"{head}\n\n{NOTE}\n\n{rest}{codes}{ERRORS_HEAD}{_table(['error', 'exit code', 'meaning'], local)}"
        f"{REMOTE_HEAD}{_table(['error', 'proves', 'ends the run', 'meaning'], remote)}"
    )


def _errors_page() -> str:
    head, _, rest = ERRORS_PAGE_HEAD.partition("\n\n")
    known = find_messages()
    parts = [f"{head}\n\n{NOTE}\n\n{rest}"]
    for area, title in AREAS.items():
        rows = sorted({(_code(one.text), _code(one.hint), f"`{one.kind}`") for one in known if one.area == area})
        if rows:
            parts.append(f"## {title}\n\n{_table(['message', 'what to do', 'error'], [list(row) for row in rows])}\n")
    parts.append(f"{REASONS_HEAD}\n{_table(['reason'], [[_code(reason)] for reason in find_reasons()])}")
    advice = sorted((os.strerror(number), _code(text.replace("{path}", "<path>"))) for number, text in REMEDIES.items())
    parts.append(f"{SYSTEM_HEAD}{_table(['what the system says', 'what to do'], [list(row) for row in advice])}")
    return "".join(parts).rstrip("\n") + "\n"


def _left_out_page() -> str:
    head, _, rest = LEFT_OUT_HEAD.partition("\n\n")
    rows = [[kind.who, _patterns(kind.folders), _patterns(kind.files)] for kind in LITTER]
    return f"{head}\n\n{NOTE}\n\n{rest}{_table(['made by', 'folders', 'files'], rows)}{LEFT_OUT_END}"


def _patterns(patterns: Iterable[str]) -> str:
    return " ".join(f"`{pattern}`".replace("\r", r"\r") for pattern in patterns)


def _code(text: str) -> str:
    """A message as it is printed: nothing in it is markup.

    Angle brackets are written by name, since not every reader of Markdown takes a backslash before them.
    """
    return re.sub(r"([*_`\[\]\\])", r"\\\1", escape(" ".join(text.split()), quote=False))


def _errors(kind: type[errors.AsticaSyncError]) -> Iterator[type[errors.AsticaSyncError]]:
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from _errors(below)


def _is_remote(kind: type[errors.AsticaSyncError]) -> bool:
    return issubclass(kind, errors.RemoteError)


def _meaning(kind: type[errors.AsticaSyncError]) -> str:
    text = " ".join(inspect.cleandoc(kind.__doc__ or "").split())
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """The text of a cell. A bar in it is written by name: within code, not every reader takes a backslash before it."""
    if "|" in text:
        text = re.sub(r"`([^`]*\|[^`]*)`", lambda code: f"<code>{escape(code[1], quote=False)}</code>", text)
    return text.replace("|", "&#124;")


def with_tree(design: str) -> str:
    """The design with today's tree of the package: every file, next to it the first sentence of its docstring."""
    head, start, rest = design.partition("\n```\nastica_sync/")
    tree = "\n".join(_tree(Path(config.__file__).parent))
    return f"{head}\n```\n{tree}\n```{rest.partition(chr(10) + '```')[2]}" if start else design


def _tree(folder: Path, depth: int = 0) -> Iterator[str]:
    indent = "  " * depth
    yield f"{indent}{folder.name}/".ljust(36) + _summary(folder / "__init__.py")
    for file in sorted(folder.glob("*.py")):
        if file.stem != "__init__":
            yield f"{indent}  {file.name}".ljust(36) + _summary(file)
    for inner in sorted(path for path in folder.iterdir() if (path / "__init__.py").exists()):
        yield from _tree(inner, depth + 1)


def _summary(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return " ".join(re.split(r"[.:;](?:\s|$)", text, maxsplit=1)[0].split())


if __name__ == "__main__":
    design = FOLDER / "dev" / "design.md"
    design.write_text(with_tree(design.read_text("utf-8")), "utf-8")
    for page, text in pages().items():
        (FOLDER / page).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / page).write_text(text, "utf-8")
