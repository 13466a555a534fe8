"""The command itself: which sub-commands there are, and how every ending becomes a message and an exit code."""

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from astica_sync import __version__
from astica_sync.cli.exit_codes import ERROR, EXIT_CODES, INTERRUPTED, USAGE
from astica_sync.cli.render.error_output import print_error
from astica_sync.errors import AsticaSyncError

# Loaded when used: most commands need neither the network nor an image library.
COMMANDS = {
    "init": "astica_sync.cli.start.init:init",
    "pull-status": "astica_sync.cli.daily.status:pull_status",
    "push": "astica_sync.cli.daily.push:push",
    "watch": "astica_sync.cli.daily.watch:watch",
    "log": "astica_sync.cli.daily.log:log",
    "backup": "astica_sync.cli.undo.backup:backup",
    "models": "astica_sync.cli.service.models:models",
    "train": "astica_sync.cli.training.train:train",
    "versions": "astica_sync.cli.training.versions:versions",
    "snapshot": "astica_sync.cli.undo.snapshot:snapshot",
    "detect": "astica_sync.cli.training.detect:detect",
    "evaluate": "astica_sync.cli.training.evaluate:evaluate",
    "split": "astica_sync.cli.training.split:split",
    "adopt": "astica_sync.cli.training.adopt:adopt",
    "remove-sample": "astica_sync.cli.service.remove:remove_sample",
    "remove-class": "astica_sync.cli.service.remove:remove_class",
    "sandbox": "astica_sync.cli.service.sandbox:sandbox",
    "demo": "astica_sync.cli.start.demo:demo",
}


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: " + " · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
)
@click.version_option(__version__, prog_name="astica-sync")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Keeps a folder of class folders and a remote custom vision model equal.

    The folder is the source of truth: what is in it is uploaded, once; what leaves it is removed from the model, after
    a look at the backup that keeps every sample ever sent.

    \b
    astica-sync init --create "My model" --type image --purpose "sort cans"
    astica-sync push
    astica-sync pull-status
    """
    ctx.obj = debug


COLLECTING = (50_000, 20, 20)
"""Commands make many objects and few cycles: looking for these after every 700 objects, as is usual, is a twentieth of
a short command and half of a comparison of a million samples."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits with one of ``EXIT_CODES``."""
    _leave_no_core()
    gc.set_threshold(*COLLECTING)
    code = run(arguments)
    _let_go_of_output()
    # What is left ends with the process. To look through it for cycles at the end is an eighth of a short command.
    gc.freeze()
    sys.exit(code)


def _let_go_of_output() -> None:
    """What nobody took Python would try to write once more at its end, and say so with a message and a code of its
    own; the run has its code already."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def _leave_no_core() -> None:
    """A core file would hold the memory, and with it the key (promise 10)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; every message is already printed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result: Any = cli.main(given, prog_name="astica-sync", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return ERROR
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nastica-sync: interrupted; what was done is saved", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return ERROR
    except AsticaSyncError as error:
        if "--debug" in given:
            raise
        print_error(error)
        return error.exit_code
    except Exception as error:
        if "--debug" in given:
            raise
        print_error(_unexpected(error))
        return ERROR


def _unexpected(error: Exception) -> AsticaSyncError:
    if isinstance(error, OSError):
        return AsticaSyncError(str(error), "Free space or mend the rights there, then give the same command again.")
    return AsticaSyncError(
        f"a fault of the program: {type(error).__name__}: {error}",
        "What was done is saved. Please report it with what astica-sync --debug prints.",
    )
