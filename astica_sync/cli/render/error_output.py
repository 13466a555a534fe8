"""An error on standard error: what happened, and what to do."""

import click

from astica_sync.errors import AsticaSyncError


def print_error(error: AsticaSyncError) -> None:
    """Prints the message, and the hint on a second line where the error has one."""
    click.echo(f"astica-sync: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
