"""``astica-sync versions``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.render.diff_output import diff_counts, diff_lines
from astica_sync.cli.render.text import duration, number, safe
from astica_sync.clock import local_time
from astica_sync.core.versions.snapshot import Diff
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from astica_sync.core.versions.version import Training
    from astica_sync.training.versions import Told

CLASSES_SHOWN = 8


@click.command("versions")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--offline", is_flag=True, help="Show what is known here; sends nothing, needs no key.")
def versions(store: Path | None, as_json: bool, offline: bool) -> int:
    """Show every version ever seen, the data it was made of, and what it scored.

    Looks at the service once; a training that finished meanwhile is picked up.

    \b
    astica-sync versions
    astica-sync versions --json | jq '.versions[-1].name'
    """
    from astica_sync.api import Store

    with open_store(store, ProgressListener(), offline=offline) as opened:
        desk = Store.over(opened)
        told = desk.versions(offline=offline)
        pending, follows = desk.trainer.pending(), desk.follows
        overdue = pending is not None and desk.trainer.is_overdue(pending)
        now = opened.session.runtime.clock.now()
    if as_json:
        data = {
            "versions": [version_data(one) for one in told],
            "training": pending and {"snapshot": pending.snapshot, "asked_at": pending.asked_at, "overdue": overdue},
            "follows": follows.name if follows else None,
        }
        click.echo(json.dumps(data, ensure_ascii=False))
        return 0
    if not told and pending is None:
        click.echo("No version yet: astica-sync train")
    for one in told:
        click.echo("\n".join(_lines(one)))
    if pending is not None:
        click.echo(_pending_line(pending, now, overdue))
    if follows:
        click.echo(f"The service holds the data of {safe(follows.name)}; astica-sync push brings the store forward.")
    return 0


def version_data(told: "Told") -> dict[str, Any]:
    """One version as JSON."""
    changed = told.changed
    return {
        "number": told.version.number,
        "name": told.version.name,
        "trained_at": told.version.trained_at,
        "seen_at": told.version.seen_at,
        "made_here": told.version.snapshot is not None,
        "snapshot": told.version.snapshot,
        "samples": told.samples,
        "classes": told.classes,
        "unmanaged": told.elsewhere,
        "changed": None if changed is None else diff_counts(changed),
        "scores": [
            {"right": score.right, "shown": score.shown, "folder": score.folder, "images": score.images, "at": score.at}
            for score in told.scores
        ],
    }


def _lines(told: "Told") -> list[str]:
    version = told.version
    when = local_time(version.trained_at or version.seen_at)
    head = f"@{version.number:<3} {safe(version.name or '(no name)'):<20}  {when}  "
    if told.samples is None:
        return [f"{head}made elsewhere, its data is not known", *_scores(told)]
    elsewhere = f", {told.elsewhere:,} of them made elsewhere" if told.elsewhere else ""
    data = f"{number(told.samples, 'sample')} in {number(told.classes or 0, 'class', 'classes')}{elsewhere}"
    lines = [f"{head}{data}"]
    if told.changed is not None and told.since is not None:
        since = safe(told.since.name or f"@{told.since.number}")
        lines.append(f"       since {since}: {_totals(told.changed)}")
        classes = diff_lines(told.changed)
        lines += [f"         {line}" for line in classes[:CLASSES_SHOWN]]
        if len(classes) > CLASSES_SHOWN:
            more = number(len(classes) - CLASSES_SHOWN, "class", "classes")
            lines.append(
                f"         … and {more} more: astica-sync snapshot diff @{told.since.number} @{version.number}"
            )
    return lines + _scores(told)


def _totals(changed: Diff) -> str:
    counts = {
        "added": len(changed.added),
        "removed": len(changed.removed),
        "moved to another class": len(changed.moved),
    }
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count) or "the same data"


def _scores(told: "Told") -> list[str]:
    return [
        f"       {score.accuracy:.1%} right of {score.shown:,} in {safe(score.folder)}, {local_time(score.at)}"
        for score in told.scores[-1:]
    ]


def _pending_line(pending: "Training", now: float, overdue: bool) -> str:
    ago = duration(max(0.0, now - pending.asked_at))
    if overdue:
        return click.style(
            f"A training was asked for {ago} ago and no version has appeared: astica-sync train --again", fg="red"
        )
    return f"A training on {number(pending.samples, 'sample')} was asked for {ago} ago; no version yet"
