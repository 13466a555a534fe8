"""``astica-sync log``."""

import contextlib
import difflib
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.open_store import find, store_option
from astica_sync.cli.point_in_time import PointInTime
from astica_sync.cli.render.live.progress import reading
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import json_line, json_name, safe
from astica_sync.clock import local_time
from astica_sync.errors import StoreError

if TYPE_CHECKING:
    from astica_sync.local.db.journal import Event, Journal

USUAL = 50
"""So many entries are shown unless asked otherwise."""


MOST_ENTRIES = 1_000_000_000


@click.command("log")
@store_option
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1, max=MOST_ENTRIES),
    metavar="N",
    help="Show the newest N entries.  [default: 50, with --since all]",
)
@click.option("--since", type=PointInTime(), help="Only entries since then: yesterday, 12h, 3d, 2026-11-27.")
@click.option("--class", "titles", multiple=True, metavar="TITLE", help="Only entries of this class. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each entry.")
def log(store: Path | None, limit: int | None, since: float | None, titles: tuple[str, ...], as_json: bool) -> int:
    """Show past uploads and removals, the newest last.

    \b
    astica-sync log
    astica-sync log --since yesterday --class Can
    astica-sync log -n 1000 --json | jq .path
    """
    from astica_sync.local.db.journal import Journal

    if limit is None and since is None:
        limit = USUAL
    layout = find(store)
    with reading(layout.root), contextlib.closing(Journal(layout.journal_db, "log")) as journal:
        events = list(journal.history(limit, since, _known_titles(journal, titles)))
    for event in reversed(events):
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
        print_lines([f"{when}  {event.action:<12}  {safe(_name(event))}{outcome}{safe(reason)}"])
    return 0


def _known_titles(journal: "Journal", titles: tuple[str, ...]) -> list[str]:
    """The titles as the journal has them.

    Raises:
        StoreError: nothing was done to a class of one of these titles.
    """
    found = []
    for title in (unicodedata.normalize("NFC", title) for title in titles):
        known = journal.titles_in_history()
        if title not in known:
            near = difflib.get_close_matches(title, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "To see all entries: astica-sync log"
            raise StoreError(f"the log has no class {title!r}", hint)
        found.append(title)
    return found


def _name(event: "Event") -> str:
    """The file, or where it has none the class and the sample's id on the service, or the snapshot of a training."""
    if event.path:
        return event.path
    if event.action == "train":
        return f"snapshot {event.uid[:8]}"
    return event.class_title if event.sample_id is None else f"{event.class_title}  #{event.sample_id}"
