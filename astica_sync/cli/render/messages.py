"""Messages on standard error: errors always, notes unless ``--quiet``, steps with ``--verbose``."""

import click

from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.errors import AsticaSyncError


def print_error(error: AsticaSyncError) -> None:
    """Prints the message, and the hint on a second line where the error has one."""
    click.echo(f"astica-sync: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def print_note(text: str) -> None:
    """Prints what is worth knowing and is not the result."""
    if verbosity() > Verbosity.QUIET:
        click.echo(text, err=True)
