"""``astica-sync trust``."""

import json
import sys
from pathlib import Path

import click

from astica_sync.cli.context import store_option
from astica_sync.cli.render.text import safe
from astica_sync.clock import SystemClock, local_time
from astica_sync.errors import GuardRefused
from astica_sync.open_session import find, store_addresses, trust_file
from astica_sync.trusted_addresses import revoke, trust_address, trusted_addresses, untrusted


@click.command("trust")
@store_option
@click.option("--list", "as_list", is_flag=True, help="Show what is allowed, for all stores.")
@click.option("--revoke", "as_revoke", is_flag=True, help="Take back what is allowed for this store.")
@click.option("--yes", is_flag=True, help="Allow it without asking.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
def trust(store: Path | None, as_list: bool, as_revoke: bool, yes: bool, as_json: bool) -> int:
    """Allow a store to send your API key to the address in its files.

    Needed once for a store that names another address than the usual one and that you did not make with init here, for
    instance one from a downloaded archive. The usual address, and one that you give by flag, environment or in your own
    settings, need no permission.

    \b
    astica-sync trust
    astica-sync trust --list
    astica-sync trust --store photos --revoke
    """
    if as_list:
        return _show_list(as_json)
    layout = find(store)
    if as_revoke:
        for revoked in revoke(trust_file(), layout.root):
            click.echo(f"{safe(revoked.store)} may no longer use {safe(revoked.address)}")
        return 0
    asked = untrusted(trust_file(), layout.root, store_addresses(layout))
    if not asked:
        click.echo(f"{safe(str(layout.root))} asks for no address that is not allowed")
        return 0
    for address in asked:
        question = f"Allow {safe(str(layout.root))} to send your API key to {safe(address)}?"
        if not yes and not sys.stdin.isatty():
            raise GuardRefused(f"{question[:-1]} was not confirmed".replace("Allow", "allowing", 1), "Add --yes.")
        if not yes and not click.confirm(question):
            return 4
        trust_address(trust_file(), layout.root, address, SystemClock().now())
        click.echo(f"{safe(str(layout.root))} may use {safe(address)}")
    return 0


def _show_list(as_json: bool) -> int:
    known = trusted_addresses(trust_file())
    if as_json:
        click.echo(json.dumps([{"store": one.store, "address": one.address, "since": one.since} for one in known]))
        return 0
    for one in known:
        click.echo(f"{local_time(one.since, seconds=True)}  {safe(one.store)}  {safe(one.address)}")
    return 0
