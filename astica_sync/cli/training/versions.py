"""``astica-sync versions``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.exit_codes import DONE, ERROR
from astica_sync.cli.open_store import open_store, store_option
from astica_sync.cli.render.diff_output import diff_counts, diff_lines
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import duration, json_line, number, safe
from astica_sync.clock import local_time
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.core.versions.snapshot import SnapshotDiff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astica_sync.core.versions.pending_training import Training
    from astica_sync.core.versions.version import Version
    from astica_sync.local.db.version_scores import Score
    from astica_sync.training.version_history import VersionSummary

MOST_CLASSES = 8
MOST_NAMED = 3


@click.command("versions")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--offline", is_flag=True, help="Show what is known on this machine; needs no key.")
def versions(store: Path | None, as_json: bool, offline: bool) -> int:
    """List the versions, their data and their scores.

    Sends one request, to find new versions and finished trainings; none with --offline.

    \b
    astica-sync versions
    astica-sync versions --json | jq '.versions[-1].name'
    """
    from astica_sync.api import Store

    with open_store(store, Progress(), offline=offline) as opened:
        api = Store.over(opened)
        described = api.versions(offline=offline)
        pending, follows = api.trainer.pending(), api.follows
        overdue = pending is not None and api.trainer.is_overdue(pending)
        now = opened.session.runtime.clock.now()
    code = ERROR if any(one.damage for one in described) else DONE
    if as_json:
        data = {
            "versions": [version_data(one) for one in described],
            "made_elsewhere": described.made_elsewhere,
            "training": pending and {"snapshot": pending.snapshot, "asked_at": pending.asked_at, "overdue": overdue},
            "follows": follows.name if follows else None,
        }
        click.echo(json_line(data))
        return code
    if not described and pending is None:
        print_lines(["No versions yet. To train one: astica-sync train"])
    if described and described.made_elsewhere:
        from astica_sync.training.version_history import MADE_ELSEWHERE

        what = f"{MADE_ELSEWHERE.capitalize()}. If you made this store yourself: astica-sync init"
        print_lines([click.style(what, fg="yellow")])
    for one in described:
        print_lines(_lines(one))
    if pending is not None:
        print_lines([_pending_line(pending, now, overdue)])
    if follows:
        print_lines(
            [
                f"The last push gave the service the data of {safe(follows.name)}; samples made elsewhere stay there. "
                "To bring it back in sync with the store: astica-sync push"
            ]
        )
    return code


def version_data(described: "VersionSummary") -> dict[str, Any]:
    """One version as JSON."""
    changed = described.changes
    return {
        "number": described.version.number,
        "name": described.version.name,
        "trained_at": described.version.trained_at,
        "seen_at": described.version.seen_at,
        "made_here": described.version.snapshot is not None,
        "snapshot": described.version.snapshot,
        "unknown_because": described.version.unknown_because or None,
        "damage": described.damage or None,
        "samples": described.samples,
        "classes": described.classes,
        "unmanaged": described.unmanaged,
        "same_data_as": [one.number for one in described.same_data],
        "changed": None if changed is None else diff_counts(changed),
        "scores": [
            {
                "right": score.right,
                "shown": score.shown,
                "leaked": score.leaked,
                "folder": score.folder,
                "images": score.images,
                "at": score.at,
            }
            for score in described.scores
        ],
    }


def _lines(described: "VersionSummary") -> list[str]:
    version = described.version
    when = local_time(version.trained_at or version.seen_at)
    head = f"@{version.number:<3} {safe(version.name or '(no name)'):<20}  {when}  "
    if described.damage:
        why = click.style(safe(described.damage), fg="red")
        return [f"{head}its data cannot be read", f"       {why}; see astica-sync backup verify", *_scores(described)]
    if described.samples is None:
        if version.unknown_because:
            return [f"{head}its data is not known", f"       {safe(version.unknown_because)}", *_scores(described)]
        return [f"{head}trained elsewhere, its data is not known", *_scores(described)]
    elsewhere = f", {described.unmanaged:,} of them made elsewhere" if described.unmanaged else ""
    data = f"{number(described.samples, 'sample')} in {number(described.classes or 0, 'class', 'classes')}{elsewhere}"
    lines = [f"{head}{data}"]
    if described.same_data:
        lines.append(f"       the same data as {_listed(described.same_data)}")
    if (
        described.changes is not None
        and described.previous is not None
        and described.previous not in described.same_data
    ):
        since = safe(described.previous.name or f"@{described.previous.number}")
        lines.append(f"       since {since}: {_totals(described.changes)}")
        classes = diff_lines(described.changes)
        lines += [f"         {line}" for line in classes[:MOST_CLASSES]]
        if len(classes) > MOST_CLASSES:
            more = number(len(classes) - MOST_CLASSES, "class", "classes")
            lines.append(
                f"         … and {more} more: astica-sync snapshot diff @{described.previous.number} @{version.number}"
            )
    return lines + _scores(described)


def _listed(versions: "Sequence[Version]") -> str:
    """The versions by name, the newest of them where they are many."""
    names = [safe(one.name or f"@{one.number}") for one in versions[-MOST_NAMED:]]
    if len(versions) > MOST_NAMED:
        return f"{', '.join(names)} and {len(versions) - MOST_NAMED:,} before them"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _totals(changed: SnapshotDiff) -> str:
    counts = {
        "added": len(changed.added),
        "removed": len(changed.removed),
        "moved to another class": len(changed.moved),
    }
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count) or "the same data"


def _scores(described: "VersionSummary") -> list[str]:
    return [
        f"       {percent(score.accuracy)} right of {score.shown:,}{_leaked(score)} in {safe(score.folder)}, "
        f"{local_time(score.at)}"
        for score in described.scores[-1:]
    ]


def _leaked(score: "Score") -> str:
    """How many of the images were trained on: such a score says less."""
    return f" ({score.leaked:,} of them also in its data)" if score.leaked else ""


def _pending_line(pending: "Training", now: float, overdue: bool) -> str:
    ago = duration(max(0.0, now - pending.asked_at))
    if overdue:
        return click.style(
            f"A training was requested {ago} ago, and no version has appeared: astica-sync train --again", fg="red"
        )
    return f"A training on {number(pending.samples, 'sample')} was requested {ago} ago; no version yet"
