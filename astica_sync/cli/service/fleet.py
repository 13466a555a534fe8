"""``astica-sync fleet``."""

from pathlib import Path
from urllib.parse import urlsplit

import click

from astica_sync.cli.exit_codes import DONE
from astica_sync.cli.open_store import find, settings_for, store_option
from astica_sync.cli.render.messages import print_lines, terminal_width
from astica_sync.cli.render.text import json_line
from astica_sync.errors import DatabaseError, NoStore
from astica_sync.local.layout import Layout
from astica_sync.open_session import budget_server, fleet_of_key, own_limit


@click.command("fleet")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def fleet(store: Path | None, as_json: bool) -> int:
    """Show the machines that share the request budget of this key, and what each of them does.

    They share it where they name the same budget server; each process that sends requests then writes what it does
    there. Sends nothing to the service, and needs no store: the requests to the service of the store in this folder are
    counted, else those to the one of the settings. Exits with 1 where no budget server is set or where it does
    not answer. The page "One limit for several machines" of the manual has the setting.

    \b
    astica-sync fleet
    astica-sync fleet --json | jq '.processes[].machine'
    """
    # Loaded here, since the help needs none of it.
    from astica_sync.cli.service.fleet_output import FleetView, fleet_data, fleet_lines

    layout = _layout(store)
    settings = settings_for(layout, offline=True)
    found = fleet_of_key(settings)
    budget = budget_server(layout)
    if budget is None or budget.problem:
        problem, hint = (budget.problem, budget.hint) if budget is not None else ("no budget server is set", "")
        raise DatabaseError(problem, hint)
    host = urlsplit(settings.train_url).netloc
    view = FleetView(found, budget, own_limit(settings), settings.budget_pool, host, layout is not None)
    if as_json:
        click.echo(json_line(fleet_data(view)))
    else:
        print_lines(fleet_lines(view, terminal_width()))
    return DONE


def _layout(store: Path | None) -> Layout | None:
    """The store, for the service's address in its files; where none is named, it need not be there."""
    try:
        return find(store)
    except NoStore:
        if store is not None:
            raise
        return None
