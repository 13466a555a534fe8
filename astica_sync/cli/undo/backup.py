"""``astica-sync backup``."""

from collections import Counter
from pathlib import Path

import click

from astica_sync.cli.command_group import CommandGroup
from astica_sync.cli.open_store import store_option
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import json_line, json_name, number, safe
from astica_sync.cli.undo.mirror import mirror
from astica_sync.cli.undo.open_backup import open_backup
from astica_sync.cli.undo.prune_backup import prune
from astica_sync.cli.undo.restore_backup import restore
from astica_sync.cli.undo.verify_backup import verify


@click.group("backup", cls=CommandGroup)
def backup() -> None:
    """List, verify, restore, mirror and prune the backup.

    The backup has the exact bytes of every image that was ever uploaded, as plain files.

    \b
    astica-sync backup list
    astica-sync backup verify
    astica-sync backup restore --to ~/rescued
    astica-sync backup mirror s3://my-bucket/cans
    astica-sync backup prune --older-than 365d
    """


@backup.command("list")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each sample.")
def list_backup(store: Path | None, as_json: bool) -> int:
    """List what the backup has.

    \b
    astica-sync backup list
    astica-sync backup list --json
    """
    _, objects = open_backup(store)
    listed: set[tuple[str, str]] = set()
    per_class: Counter[str] = Counter()
    size = 0
    for entry in objects.samples():
        if (entry.class_title, entry.content) in listed:
            continue
        listed.add((entry.class_title, entry.content))
        per_class[entry.class_title] += 1
        size += entry.size
        if as_json:
            data = {
                "class": entry.class_title,
                "path": json_name(entry.path),
                "content": entry.content,
                "size": entry.size,
            }
            click.echo(json_line(data))
    if not as_json:
        lines = [f"{count:>8}  {safe(title)}" for title, count in sorted(per_class.items())]
        print_lines([*lines, f"{number(len(listed), 'sample')}, {size / 1e6:,.1f} MB"])
    return 0


for command in (verify, restore, mirror, prune):
    backup.add_command(command)
