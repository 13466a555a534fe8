"""``astica-sync trust``."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from astica_sync.bucket.source_binding import is_source
from astica_sync.cli.open_store import store_option
from astica_sync.cli.render.messages import confirm
from astica_sync.cli.render.text import json_line, safe
from astica_sync.clock import SystemClock, local_time
from astica_sync.errors import GuardRefused
from astica_sync.file_owner import name_of
from astica_sync.local.check_state_folder import foreign_owners
from astica_sync.open_session import find, find_unchecked, store_addresses, trust_file
from astica_sync.service_address import spelled_address
from astica_sync.store_trust import (
    TrustedAddress,
    TrustedOwner,
    owners_of,
    revoke,
    trust_address,
    trust_owner,
    trusted_addresses,
    trusted_owners,
    untrusted,
)


@click.command("trust")
@store_option
@click.option("--list", "as_list", is_flag=True, help="Show what is allowed, for all stores.")
@click.option("--revoke", "as_revoke", is_flag=True, help="Take back what is allowed for this store.")
@click.option("--owner", is_flag=True, help="Allow that the store belongs to another user of this machine.")
@click.option("--yes", is_flag=True, help="Allow it without asking.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
def trust(store: Path | None, as_list: bool, as_revoke: bool, owner: bool, yes: bool, as_json: bool) -> int:
    """Allow a store to send your API key to the address in its files.

    Needed once for a store that names another address than the usual one and that you did not make with init here, for
    instance one from a downloaded archive. The usual address, and one that you give by flag, environment or in your own
    settings, need no permission.

    The same holds for a bucket that the store's files name as the place of its images: it is read with your credentials
    only after you have allowed that here, or named it with init --from.

    A store that belongs to another user of this machine is refused as well, until you allow that with --owner.

    \b
    astica-sync trust
    astica-sync trust --owner --store /shared/photos
    astica-sync trust --list
    astica-sync trust --store photos --revoke
    """
    if as_list:
        return _show_list(as_json)
    layout = find_unchecked(store)
    place = safe(str(layout.root))
    if as_revoke:
        for revoked in revoke(trust_file(), layout.root):
            what = (
                f"use {safe(spelled_address(revoked.address))}"
                if isinstance(revoked, TrustedAddress)
                else f"belong to {_user(revoked)}"
            )
            click.echo(f"{place} may no longer {what}")
        return 0
    if owner:
        foreign = sorted(foreign_owners(layout) - owners_of(trust_file(), layout.root))
        if not foreign:
            click.echo(f"{place} belongs to no user who is not allowed")
            return 0
        for user in foreign:
            _confirm(f"Allow {place} to belong to {safe(name_of(user))}, who can change its settings?", yes)
            trust_owner(trust_file(), layout.root, user, SystemClock().now())
            click.echo(f"{place} may belong to {safe(name_of(user))}")
        return 0
    layout = find(store)
    asked = untrusted(trust_file(), layout.root, store_addresses(layout))
    if not asked:
        click.echo(f"{place} asks for no address that is not allowed")
        return 0
    for address in asked:
        use = "read with your credentials" if is_source(address) else "send your API key to"
        _confirm(f"Allow {place} to {use} {safe(spelled_address(address))}?", yes)
        trust_address(trust_file(), layout.root, address, SystemClock().now())
        click.echo(f"{place} may use {safe(spelled_address(address))}")
    return 0


def _confirm(question: str, yes: bool) -> None:
    """
    Raises:
        GuardRefused: the user did not agree.
    """
    if yes or (sys.stdin.isatty() and confirm(question, err=False)):
        return
    raise GuardRefused(
        f"nothing was allowed, since this was not confirmed: {question}",
        "To allow it, run the same command with --yes.",
    )


def _show_list(as_json: bool) -> int:
    addresses, owners = trusted_addresses(trust_file()), trusted_owners(trust_file())
    if as_json:
        click.echo(json_line([*map(asdict, addresses), *map(asdict, owners)]))
        return 0
    for one in addresses:
        click.echo(f"{local_time(one.since, seconds=True)}  {safe(one.store)}  {safe(spelled_address(one.address))}")
    for other in owners:
        click.echo(f"{local_time(other.since, seconds=True)}  {safe(other.store)}  belongs to {_user(other)}")
    return 0


def _user(trusted: TrustedOwner) -> str:
    return safe(name_of(trusted.owner))
