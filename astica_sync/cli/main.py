"""The command ``astica-sync``: its sub-commands, and how each ending becomes a message and an exit code."""

import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from astica_sync import __version__
from astica_sync.cli.command_group import LazyCommandGroup, global_flags
from astica_sync.cli.exit_codes import DONE, ERROR, EXIT_CODES, INTERRUPTED, PIPE_CLOSED, USAGE
from astica_sync.cli.failed_system_call import place_and_remedy
from astica_sync.cli.render.messages import is_plain_terminal, print_error, set_named_store
from astica_sync.errors import AsticaSyncError
from astica_sync.system.error_advice import memory_limit, reason_of, thread_remedy
from astica_sync.system.start_checks import no_temporary_folder
from astica_sync.system.stdlib_modules import check_python, missing_module

GROUPS = {
    "Start": {
        "init": "astica_sync.cli.start.init:init",
        "demo": "astica_sync.cli.start.demo:demo",
        "trust": "astica_sync.cli.start.trust:trust",
        "completion": "astica_sync.cli.start.completion:completion",
        "doctor": "astica_sync.cli.start.doctor:doctor",
    },
    "Daily": {
        "pull-status": "astica_sync.cli.daily.status:pull_status",
        "push": "astica_sync.cli.daily.push:push",
        "watch": "astica_sync.cli.daily.watch:watch",
        "prepare": "astica_sync.cli.daily.prepare:prepare",
        "log": "astica_sync.cli.daily.log:log",
    },
    "Undo": {
        "backup": "astica_sync.cli.undo.backup:backup",
        "snapshot": "astica_sync.cli.undo.snapshot:snapshot",
    },
    "Import and export": {
        "import": "astica_sync.cli.exchange.import_data:import_data",
        "export": "astica_sync.cli.exchange.export_data:export_data",
    },
    "Train and compare": {
        "train": "astica_sync.cli.training.train:train",
        "versions": "astica_sync.cli.training.versions:versions",
        "detect": "astica_sync.cli.training.detect:detect",
        "inspect": "astica_sync.cli.training.inspect:inspect",
        "evaluate": "astica_sync.cli.training.evaluate:evaluate",
        "split": "astica_sync.cli.training.split:split",
    },
    "Services": {
        "page": "astica_sync.cli.service.page:page",
        "fleet": "astica_sync.cli.service.fleet:fleet",
        "models": "astica_sync.cli.service.models:models",
        "adopt": "astica_sync.cli.service.adopt:adopt",
        "remove-sample": "astica_sync.cli.service.removal_commands:remove_sample",
        "remove-class": "astica_sync.cli.service.removal_commands:remove_class",
        "sandbox": "astica_sync.cli.service.sandbox:sandbox",
    },
}
"""For each heading of the help the commands under it, which are in the folder of that name."""
COMMANDS = tuple(name for names in GROUPS.values() for name in names)
ALIASES = {"status": "pull-status"}
REPORTS_SQLITE = ("doctor",)
"""What works with a SQLite that is too old, and says so."""


EXTRAS = {
    "numpy": "evaluate",
    "obstore": "buckets",
    "onnx": "features",
    "onnxruntime": "features",
    "prometheus_client": "metrics",
    "pyarrow": "parquet",
    "scipy": "evaluate",
    "sklearn": "evaluate",
    "starlette": "page",
    "uvicorn": "page",
}
"""For each module of an optional package the extra that brings it, where no command says so by itself."""


class MainCommand(LazyCommandGroup):
    """The command itself. Its help ends with the exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


@click.command(
    cls=MainCommand,
    table=GROUPS,
    aliases=ALIASES,
    params=global_flags(hidden=False),
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="astica-sync")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Keeps a remote custom vision model in sync with a folder of images.

    The folder has one sub-folder for each class, and it is the source of truth: a new image is uploaded once, and an
    image that is removed from the folder is removed from the model. A local backup keeps every uploaded image.

    \b
    astica-sync init --create "My model" --purpose "sort cans"
    astica-sync push
    astica-sync status

    --quiet, --verbose and --debug may stand before or after the name of a command.
    """
    check_python()
    if ctx.invoked_subcommand not in REPORTS_SQLITE:
        from astica_sync.sqlite import refuse_old_sqlite

        refuse_old_sqlite()


GC_THRESHOLDS = (50_000, 20, 20)
"""Commands make many objects and few reference cycles. With Python's usual threshold of 700 objects the search for
cycles takes a twentieth of a short command and half of a comparison of a million samples."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits with one of ``EXIT_CODES``."""
    if arguments is None:
        _use_utf8_names()
    _open_closed_streams()
    _disable_core_dumps()
    # numpy, which libraries import where it is installed, would start a thread for each core, and where it may not, it
    # would interrupt this process as Ctrl-C does.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _silence_joblib()
    gc.set_threshold(*GC_THRESHOLDS)
    code = run(arguments)
    if _flush_output() and code == DONE:
        code = PIPE_CLOSED
    # The process ends here. A last search for cycles would take an eighth of a short command.
    gc.freeze()
    sys.exit(code)


def _use_utf8_names() -> None:
    """Starts again in Python's UTF-8 mode where the locale has another encoding: the bytes of a file name are UTF-8,
    whatever the locale, or the same folder would be another class in another terminal. Output keeps its encoding."""
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    environment = {**os.environ, "PYTHONUTF8": "1"}
    environment.setdefault("PYTHONIOENCODING", f"{encoding}:backslashreplace")
    with contextlib.suppress(OSError):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - the same program


def _silence_joblib() -> None:
    """joblib, which scikit-learn imports, warns that it starts no processes where ``/dev/shm`` cannot be used. None are
    started for this program."""
    text, module = r".*joblib will operate in serial mode", r"joblib\._multiprocessing_helpers"
    warnings.filterwarnings("ignore", text, UserWarning, module)


def _open_closed_streams() -> None:
    """Where a standard stream is closed (``>&-``), the next file that is opened would take its number, and what a
    library writes to the stream would go into that file; Python has None in its place. The null device takes both."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        with contextlib.suppress(OSError):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
            if getattr(sys, name) is None:
                setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - stays open


def _flush_output() -> bool:
    """Flushes both streams; whether the reader of one of them has gone.

    Where that fails, their rest goes to the null device: Python would otherwise try again at exit, and replace the exit
    code with its own.
    """
    closed = False
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError) as error:
            closed = closed or isinstance(error, BrokenPipeError)
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)
    return closed


def _disable_core_dumps() -> None:
    """A core file would hold the memory, and with it the key (promise 10)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; every message is already printed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    streams = sys.stdout, sys.stderr
    # An earlier command of this process may have named one.
    set_named_store(None)
    try:
        color = False if is_plain_terminal() else None
        result: Any = cli.main(given, prog_name="astica-sync", standalone_mode=False, color=color)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.UsageError as error:
        _show(error.show)
        return USAGE
    except click.ClickException as error:
        _show(error.show)
        return ERROR
    except (click.Abort, KeyboardInterrupt):
        _show(lambda: click.echo("\nastica-sync: interrupted; what was done is saved", err=True))
        return INTERRUPTED
    except SystemExit:
        # Where the output is closed, click replaces the streams and ends the program.
        if sys.stdout is streams[0]:
            raise
        sys.stdout, sys.stderr = streams
        return PIPE_CLOSED
    except AsticaSyncError as error:
        known = error
        _record(error, given)
        _show_traceback(error, given)
        _show(lambda: print_error(known))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - shown as an error with what to do
        _record(error, given)
        _show_traceback(error, given)
        known = _as_error(error)
        _show(lambda: print_error(known))
        return ERROR


def _record(error: Exception, given: Sequence[str]) -> None:
    """Keeps the error for a bug report, unless the files of the program cannot be read now either."""
    with contextlib.suppress(OSError, ImportError):
        # Loaded here: most commands end well.
        import time

        from astica_sync.system.error_record import record_error

        name = next((word for word in given if word in (*COMMANDS, *ALIASES)), "")
        record_error(error, name, time.time(), __version__)


def _show_traceback(error: Exception, given: Sequence[str]) -> None:
    """Before the message, whose lines are the ones that help."""
    if "--debug" in given:
        # Loaded here: most commands end well.
        from astica_sync.cli.debug_traceback import print_traceback

        _show(lambda: print_traceback(error))


def _show(message: Callable[[], None]) -> None:
    """Prints a last message. Where standard error cannot be written, the exit code alone tells how it ended."""
    with contextlib.suppress(OSError, ValueError):
        message()


def _as_error(error: Exception) -> AsticaSyncError:
    """An exception that no part of the program expected, with what to do about it."""
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):
        return no_temporary_folder(error)
    if isinstance(error, OSError):
        place, hint = place_and_remedy(error)
        return AsticaSyncError(f"{place}: {reason_of(error)}" if place else reason_of(error), hint)
    if isinstance(error, ImportError) and (extra := EXTRAS.get((error.name or "").partition(".")[0])):
        return AsticaSyncError(
            f"this command needs {error.name}, which is not installed", f"Run: pip install 'astica-sync[{extra}]'"
        )
    if isinstance(error, ImportError) and (missing := missing_module(error)):
        return missing
    # Python reports an encoding whose file cannot be read as one that it does not know.
    if isinstance(error, ImportError) or (isinstance(error, LookupError) and "unknown encoding" in str(error)):
        return AsticaSyncError(
            f"a part of the program cannot be loaded: {error}",
            "its files are missing or cannot be read: install it again (pip install --force-reinstall astica-sync)",
        )
    if isinstance(error, MemoryError):
        near = memory_limit()
        if not near:
            near = "end other programs, or raise the limit (ulimit -v)"
        return AsticaSyncError("memory is used up", near)
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return AsticaSyncError("a thread cannot be started", thread_remedy())
    from astica_sync.cli.debug_traceback import without_secrets

    return AsticaSyncError(
        f"internal error: {type(error).__name__}: {without_secrets(str(error), os.environ)}",
        "What was done is saved. Please report this, with the output of the same command and --debug.",
    )
