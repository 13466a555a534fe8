"""How much a command prints besides its result: the flags ``--quiet`` and ``--verbose``."""

from enum import IntEnum

import click

_KEY = "astica_sync.verbosity"


class Verbosity(IntEnum):
    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


def verbosity() -> Verbosity:
    """The verbosity of the running command. Threads other than the main thread get NORMAL, so ask at the start."""
    context = click.get_current_context(silent=True)
    return Verbosity.NORMAL if context is None else context.meta.get(_KEY, Verbosity.NORMAL)


def set_verbosity(context: click.Context, chosen: Verbosity) -> None:
    """Sets the verbosity of the running command.

    Raises:
        click.UsageError: both flags were given.
    """
    if context.meta.setdefault(_KEY, chosen) is not chosen:
        raise click.UsageError("Give either --quiet or --verbose, not both.", context)
