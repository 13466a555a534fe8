"""``astica-sync backup prune``."""

import re
import sys
from pathlib import Path

import click

from astica_sync.cli.open_store import open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm, print_lines
from astica_sync.cli.render.text import first, json_line, json_name, number, safe
from astica_sync.errors import GuardRefused


class Age(click.ParamType[float]):
    """A time such as ``90d``, ``52w`` or ``2y``, in seconds; at least a day."""

    name = "AGE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d{1,5})([dwy])", str(value).strip())
        if match is None or int(match[1]) < 1:
            self.fail(f"{value!r} is not a time such as 90d, 52w or 2y", param, ctx)
        return int(match[1]) * {"d": 1, "w": 7, "y": 365}[match[2]] * 86_400.0


@click.command("prune")
@store_option
@click.option(
    "--older-than", "age", type=Age(), required=True, help="Remove only what was last used before: 90d, 52w, 2y."
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def prune(store: Path | None, age: float, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Remove unused images from the backup permanently.

    An image is removed when it is not in the store, not on the service, in no snapshot, without a mark in the
    journal, was last used before the given time, and was not sent to another model that the store had before, unless
    its removal from there was confirmed. No other command removes images from the backup. Sends one
    request.

    \b
    astica-sync backup prune --older-than 365d --dry-run
    astica-sync backup prune --older-than 365d
    """
    from astica_sync.bucket.source_binding import source_of
    from astica_sync.local.scan.scanner import ScanOptions, scan_store
    from astica_sync.sync.admin.prune_backup import plan_pruning
    from astica_sync.sync.admin.prune_backup import prune as prune_backup

    with open_store(store, Progress()) as opened, opened.session.local.lock(opened.layout):
        session = opened.session
        local, clock = session.local, session.runtime.clock
        if source_of(local.fs):
            # The scan that follows reads many files in processes, which look for them on the disk.
            scan_store(local.layout, local.index, clock=clock, files=local.fs, options=ScanOptions(threads=0))
        pruning = plan_pruning(local, session.remote, clock, session.listener, clock.now() - age)
        entries, count, size = pruning.entries, len(pruning.objects), pruning.size
        if not as_json:
            names = [f"- {safe(entry.path)}  ({entry.size:,} bytes)" for entry in entries]
            lines = first(names, len(names), 20) or ["No image can be removed."]
            staying = ", ".join(f"{held:,} {claim}" for claim, held in pruning.staying.items())
            lines.append(f"{number(count, 'image')} to remove, {size / 1e6:,.1f} MB; kept: {staying or 'none'}")
            print_lines(lines)
        asked = count > 0 and not dry_run and not yes
        if asked and (as_json or not _confirmed(count)):
            raise GuardRefused(
                f"removing {number(count, 'image')} permanently was not confirmed; nothing was removed",
                "To remove them without a question, run the same command with --yes.",
            )
        if count and not dry_run:
            prune_backup(local, clock, pruning)
            if not as_json:
                print_lines([f"Removed {number(count, 'image')}, {size / 1e6:,.1f} MB"])
    if as_json:
        data = {
            "objects": count,
            "bytes": size,
            "removed": count > 0 and not dry_run,
            "samples": [
                {"class": entry.class_title, "path": json_name(entry.path), "content": entry.content}
                for entry in entries
            ],
            "staying": {claim.name.lower(): held for claim, held in pruning.staying.items()},
        }
        click.echo(json_line(data))
    return 0


def _confirmed(count: int) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return confirm(f"Remove {number(count, 'image')} permanently? There is no undo.")
