"""``astica-sync backup``."""

import contextlib
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.command_group import CommandGroup
from astica_sync.cli.context import find, open_store, store_option
from astica_sync.cli.exit_codes import DONE, ERROR
from astica_sync.cli.point_in_time import PointInTime
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.text import first, json_line, json_name, number, safe
from astica_sync.cli.undo.catalog_names import find_paths, find_title
from astica_sync.errors import GuardRefused, StoreError

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup, VerifyResult
    from astica_sync.local.backup.catalog import Entry
    from astica_sync.local.layout import Layout


class Part(click.ParamType[tuple[int, int]]):
    """A part of the whole such as ``2/7``."""

    name = "N/T"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+)/(\d+)", str(value).strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is not a part such as 2/7", param, ctx)
        return int(match[1]), int(match[2])


class Age(click.ParamType[float]):
    """A time such as ``90d``, ``52w`` or ``2y``, in seconds; at least a day."""

    name = "AGE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d{1,5})([dwy])", str(value).strip())
        if match is None or int(match[1]) < 1:
            self.fail(f"{value!r} is not a time such as 90d, 52w or 2y", param, ctx)
        return int(match[1]) * {"d": 1, "w": 7, "y": 365}[match[2]] * 86_400.0


@click.group("backup", cls=CommandGroup)
def backup() -> None:
    """List, verify, restore and prune the backup.

    The backup has the exact bytes of every image that was ever uploaded, as plain files.

    \b
    astica-sync backup list
    astica-sync backup verify
    astica-sync backup restore --to ~/rescued
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
    _, objects = _open(store)
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
        for title, count in sorted(per_class.items()):
            click.echo(f"{count:>8}  {safe(title)}")
        click.echo(f"{number(len(listed), 'sample')}, {size / 1e6:,.1f} MB")
    return 0


@backup.command("verify")
@store_option
@click.option("--part", type=Part(), default="1/1", help="Check only the N-th of T parts, such as 2/7.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def verify(store: Path | None, part: tuple[int, int], as_json: bool) -> int:
    """Check every object of the backup.

    Reads each object and compares it with its hash. Repairs damaged objects from the store where it has the same
    image. Exits with 1 when an object stays damaged.

    \b
    astica-sync backup verify
    astica-sync backup verify --part 2/7
    """
    layout, objects = _open(store)
    good = 0
    bad: list[VerifyResult] = []
    for checked in objects.verify(part, _expected(layout)):
        if checked.reason is None:
            good += 1
        else:
            bad.append(checked)
    repaired = _repair(layout, objects, bad) if bad else []
    broken = [checked for checked in bad if checked not in repaired]
    entries_of = objects.entries_of({checked.content for checked in (*repaired, *broken)})

    def path(checked: "VerifyResult") -> str:
        entries = entries_of.get(checked.content)
        return entries[-1].path if entries else checked.content

    if as_json:
        data = {
            "good": good,
            "repaired": [{"path": json_name(path(one)), "content": one.content} for one in repaired],
            "broken": [{"path": json_name(path(one)), "content": one.content, "reason": one.reason} for one in broken],
        }
        click.echo(json_line(data))
    else:
        for one in repaired:
            click.echo(f"repaired from the store: {safe(path(one))}  (was: {one.reason})")
        for one in broken:
            click.echo(click.style(f"damaged: {safe(path(one))}  ({one.reason})", fg="red"))
        click.echo(f"{number(good, 'object')} good, {len(repaired):,} repaired, {len(broken):,} damaged")
    return ERROR if broken else DONE


@backup.command("restore")
@click.argument("names", metavar="[FILE]...", nargs=-1)
@store_option
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write to; by default NAME-restored next to the store, and the store with FILE or --since.",
)
@click.option("--class", "class_title", metavar="TITLE", help="Restore only this class.")
@click.option(
    "--since",
    type=PointInTime(),
    help="Restore what was deleted since then and is nowhere in the store: yesterday, 12h, 3d, 2026-11-27.",
)
def restore(
    names: tuple[str, ...], store: Path | None, to: Path | None, class_title: str | None, since: float | None
) -> int:
    """Write class folders, or single files, from the backup.

    Never overwrites a file and never writes outside of the target folder. Into the store it writes only the files that
    you name, and with --since what was deleted.

    \b
    astica-sync backup restore --to ~/rescued
    astica-sync backup restore --class Can
    astica-sync backup restore Can/001.jpg
    astica-sync backup restore --since yesterday
    """
    from astica_sync.local.backup.restore import is_same_folder, refuse_store
    from astica_sync.local.backup.restore import restore as restore_files
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.target_folder import check_target_folder

    if names and since is not None:
        raise click.UsageError("Give either FILE or --since.")
    layout, objects = _open(store)
    chosen = bool(names) or since is not None
    if to is None:
        to = layout.root if chosen else layout.root.with_name(f"{layout.root.name}-restored")
        if not chosen:
            check_target_folder(to, chosen=False)
    if not (chosen and is_same_folder(to, layout.root)):
        refuse_store(to)
    title = None if class_title is None else find_title(objects, class_title)
    paths = find_paths(objects, layout.root, names)
    entries = None
    if since is not None:
        removed = [entry for entry in _removed(layout, objects, since) if not os.path.lexists(to / entry.path)]
        entries = partial(iter, removed)
    done = restore_files(
        objects,
        to,
        FileSystem(),
        wanted=lambda entry: title in (None, entry.class_title) and (not paths or entry.path in paths),
        entries=entries,
    )
    problems = [f"! {safe(problem.path)}  ({problem.reason})" for problem in done.problems]
    for line in first(problems, len(problems), 20):
        click.echo(click.style(line, fg="red"), err=True)
    if done.older:
        click.echo(
            f"{number(len(done.older), 'older image')} of the same files not restored; the backup keeps them", err=True
        )
    click.echo(
        f"{safe(str(to))}: {number(done.written, 'file')} written, {done.already_there:,} already there, "
        f"{len(problems):,} failed"
    )
    return ERROR if problems else DONE


def _removed(layout: "Layout", objects: "Backup", since: float) -> "list[Entry]":
    from astica_sync.clock import SystemClock
    from astica_sync.local.backup.removed_samples import removed_since
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.identity import read_sentinel
    from astica_sync.local.scan.scanner import scan_store

    with (
        contextlib.closing(Index(layout.index_db)) as index,
        contextlib.closing(Journal(layout.journal_db, "restore")) as journal,
    ):
        scan_store(layout, index, clock=SystemClock())
        in_store = {sample.content for sample in index.local_samples(read_sentinel(layout).model_id)}
        return removed_since(journal, objects, since, in_store)


@backup.command("prune")
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
    journal, and was last used before the given time. No other command removes images from the backup. Sends one
    request.

    \b
    astica-sync backup prune --older-than 365d --dry-run
    astica-sync backup prune --older-than 365d
    """
    from astica_sync.sync.admin.prune_backup import plan_pruning
    from astica_sync.sync.admin.prune_backup import prune as prune_backup

    with open_store(store, Progress()) as opened, opened.session.local.lock(opened.layout):
        session = opened.session
        local, clock = session.local, session.runtime.clock
        pruning = plan_pruning(local, session.remote, clock, session.listener, clock.now() - age)
        entries, count, size = pruning.entries, len(pruning.objects), pruning.size
        if not as_json:
            names = [f"- {safe(entry.path)}  ({entry.size:,} bytes)" for entry in entries]
            click.echo("\n".join(first(names, len(names), 20)) if names else "No image can be removed.")
            staying = ", ".join(f"{held:,} {claim}" for claim, held in pruning.staying.items())
            click.echo(f"{number(count, 'image')} to remove, {size / 1e6:,.1f} MB; kept: {staying or 'none'}")
        asked = count > 0 and not dry_run and not yes
        if asked and (as_json or not _confirmed(count)):
            raise GuardRefused(
                f"removing {number(count, 'image')} permanently was not confirmed; nothing was removed",
                "To remove them without a question, run the same command with --yes.",
            )
        if count and not dry_run:
            prune_backup(local, clock, pruning)
            if not as_json:
                click.echo(f"Removed {number(count, 'image')}, {size / 1e6:,.1f} MB")
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
    return click.confirm(f"Remove {number(count, 'image')} permanently? There is no undo.", default=False, err=True)


def _open(store: Path | None) -> "tuple[Layout, Backup]":
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.filesystem import FileSystem

    layout = find(store)
    return layout, Backup(layout.backup, FileSystem(layout.root))


def _expected(layout: "Layout") -> Iterator[str]:
    """The content hashes of the journal's marks, so that an empty backup is not reported as good."""
    from astica_sync.local.db.journal import Journal

    if layout.journal_db.exists():
        with contextlib.closing(Journal(layout.journal_db, "verify")) as journal:
            yield from (mark.content for mark in journal.marks())


def _repair(layout: "Layout", objects: "Backup", bad: "list[VerifyResult]") -> "list[VerifyResult]":
    """Replaces damaged objects by files of the store with the same content; returns the repaired ones. Repairs none
    while another process writes to the store."""
    from astica_sync.clock import SystemClock
    from astica_sync.local.db.index import Index
    from astica_sync.local.lock import writer_lock
    from astica_sync.local.scan.scanner import scan_store

    try:
        with writer_lock(layout), contextlib.closing(Index(layout.index_db)) as index:
            scan_store(layout, index, clock=SystemClock())
            return [
                checked
                for checked in bad
                if objects.repair(checked.content, [layout.root / path for path in index.paths_with(checked.content)])
            ]
    except StoreError as error:
        click.echo(f"Cannot repair now: {error}", err=True)
        return []
