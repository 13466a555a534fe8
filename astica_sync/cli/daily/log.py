"""``astica-sync log``."""

import contextlib
import json
from pathlib import Path

import click

from astica_sync.cli.context import find, store_option
from astica_sync.cli.render.text import json_name, safe
from astica_sync.clock import local_time


@click.command("log")
@store_option
@click.option("-n", "limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest N entries.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def log(store: Path | None, limit: int, as_json: bool) -> int:
    """Show what went up or was removed, when, and why; the newest entry last.

    \b
    astica-sync log
    astica-sync log -n 1000 --json | jq 'select(.outcome != "done")'
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
                click.echo(json.dumps(entry, ensure_ascii=False))
                continue
            when = local_time(event.at, seconds=True)
            told = "" if event.outcome == "done" else f"  {event.outcome}"
            reason = f"  ({event.reason})" if event.reason else ""
            click.echo(f"{when}  {event.action:<12}  {safe(event.path or event.class_title)}{told}{safe(reason)}")
    return 0
