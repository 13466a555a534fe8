"""``astica-sync log``."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.context import find, store_option
from astica_sync.cli.render.text import json_line, json_name, safe
from astica_sync.clock import local_time

if TYPE_CHECKING:
    from astica_sync.local.db.journal import Event


@click.command("log")
@store_option
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    show_default=True,
    help="Show the newest N entries.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each entry.")
def log(store: Path | None, limit: int, as_json: bool) -> int:
    """Show past uploads and removals, the newest last.

    \b
    astica-sync log
    astica-sync log -n 1000 --json | jq .path
    """
    from astica_sync.local.db.journal import Journal

    with contextlib.closing(Journal(find(store).journal_db, "log")) as journal:
        for event in reversed(list(journal.history(limit))):
            if as_json:
                entry = {
                    "at": event.at,
                    "action": event.action,
                    "class": event.class_title,
                    "path": json_name(event.path),
                    "uid": event.uid,
                    "sample_id": event.sample_id,
                    "outcome": event.outcome,
                    "reason": event.reason,
                }
                click.echo(json_line(entry))
                continue
            when = local_time(event.at, seconds=True)
            outcome = "" if event.outcome == "done" else f"  {event.outcome}"
            reason = f"  ({event.reason})" if event.reason else ""
            click.echo(f"{when}  {event.action:<12}  {safe(_name(event))}{outcome}{safe(reason)}")
    return 0


def _name(event: "Event") -> str:
    """The file, or where it has none the class and the sample's id on the service, or the snapshot of a training."""
    if event.path:
        return event.path
    if event.action == "train":
        return f"snapshot {event.uid[:8]}"
    return event.class_title if event.sample_id is None else f"{event.class_title}  #{event.sample_id}"
