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
from astica_sync.cli.exit_codes import DONE, ERROR, exit_code_in_part
from astica_sync.cli.point_in_time import PointInTime
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import first, json_line, json_name, number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.cli.undo.catalog_names import find_paths, find_title
from astica_sync.cli.undo.mirror import mirror, rebuild
from astica_sync.errors import GuardRefused, StoreError

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup, VerifyResult
    from astica_sync.local.backup.damaged_records import DamagedFile
    from astica_sync.local.backup.find_restorable import EarlierPlace, Elsewhere, Removed
    from astica_sync.local.layout import Layout

NO_LINE = "no line of the catalog names it"
JUST_NOW_S = 600.0
NO_LINE_OF_MANY = "no line of the catalog names them, so their class and file are unknown"
NO_LINE_HINT = "Restore catalog.jsonl from a copy of the backup; the image itself is good."


class PartOption(click.ParamType[tuple[int, int]]):
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
    """List, verify, restore, mirror and prune the backup.

    The backup has the exact bytes of every image that was ever uploaded, as plain files.

    \b
    astica-sync backup list
    astica-sync backup verify
    astica-sync backup restore --to ~/rescued
    astica-sync backup mirror s3://my-bucket/cans
    astica-sync backup prune --older-than 365d
    """


backup.add_command(mirror)


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
        lines = [f"{count:>8}  {safe(title)}" for title, count in sorted(per_class.items())]
        print_lines([*lines, f"{number(len(listed), 'sample')}, {size / 1e6:,.1f} MB"])
    return 0


@backup.command("verify")
@store_option
@click.option("--part", type=PartOption(), default="1/1", help="Check only the N-th of T parts, such as 2/7.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def verify(store: Path | None, part: tuple[int, int], as_json: bool) -> int:
    """Check every object of the backup, and what names them.

    Reads each object, snapshot and record, and compares it with its hash. Repairs damaged objects from the store where
    it has the same image, and writes missing lines of the catalog again. Exits with 1 when something stays damaged.

    \b
    astica-sync backup verify
    astica-sync backup verify --part 2/7
    """
    layout, objects = _open(store)
    good = 0
    bad: list[VerifyResult] = []
    for checked in objects.verify(part, _expected(layout, objects)):
        if checked.reason is None:
            good += 1
        else:
            bad.append(checked)
    unnamed = objects.unnamed(part)
    repaired, leftovers = _repair(layout, objects, bad, unnamed) if bad or unnamed else ([], set())
    broken = [checked for checked in bad if checked not in repaired]
    nameless = [content for content in objects.unnamed(part) if content not in leftovers] if unnamed else []
    named = set(unnamed).difference(nameless, leftovers)
    entries_of = objects.entries_of({checked.content for checked in (*repaired, *broken)} | named)

    def path(content: str) -> str:
        entries = entries_of.get(content)
        return entries[-1].path if entries else content

    good_again = {one.content: one.reason or "" for one in repaired}
    good_again |= {content: NO_LINE for content in sorted(named) if content not in good_again}
    lost = [(path(one.content), one.content, one.reason or "", "") for one in broken]
    lost += [(file.name, "", file.reason, file.hint) for file in _damaged_files(layout, objects)]
    lost += [(content, content, NO_LINE, NO_LINE_HINT) for content in nameless]
    if as_json:
        data = {
            "good": good,
            "repaired": [{"path": json_name(path(content)), "content": content} for content in good_again],
            "broken": [
                {"path": json_name(name), "content": content, "reason": reason} for name, content, reason, _ in lost
            ],
        }
        click.echo(json_line(data))
    else:
        lines = [
            f"repaired from the store: {safe(path(content))}  (was: {reason})" for content, reason in good_again.items()
        ]
        lines = first(lines, len(lines), 20)
        for name, _, reason, hint in lost:
            lines.append(click.style(f"damaged: {safe(name)}  ({safe(reason)})", fg="red"))
            lines += [f"  {safe(hint)}"] if hint else []
        if leftovers:
            lines.append(f"{number(len(leftovers), 'image')} without a line in the catalog, never uploaded")
        print_lines([*lines, f"{number(good, 'object')} good, {len(good_again):,} repaired, {len(lost):,} damaged"])
    return ERROR if lost else DONE


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
@click.option(
    "--from",
    "address",
    metavar="URL",
    help="Rebuild the store in the new folder --to from this mirror (astica-sync backup mirror).",
)
def restore(
    names: tuple[str, ...],
    store: Path | None,
    to: Path | None,
    class_title: str | None,
    since: float | None,
    address: str | None,
) -> int:
    """Write class folders, or single files, from the backup.

    Never overwrites a file and never writes outside of the target folder. Into the store it writes only the files that
    you name, and with --since what was deleted. Exits with 3 when some of the images could not be restored, and with 1
    when none could.

    \b
    astica-sync backup restore --to ~/rescued
    astica-sync backup restore --class Can
    astica-sync backup restore Can/001.jpg
    astica-sync backup restore --since yesterday
    astica-sync backup restore --from s3://my/cans --to photos
    """
    from astica_sync.local.backup.restore import is_same_folder, refuse_store
    from astica_sync.local.backup.restore import restore as restore_files
    from astica_sync.local.class_folders.class_title import class_title_of
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.target_folder import check_target_folder

    if address is not None:
        if names or store is not None or class_title is not None or since is not None:
            raise click.UsageError("With --from give --to alone: the whole store is rebuilt.")
        return rebuild(address, to)
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
        removed, held, elsewhere = _removed(layout, objects, since)
        entries = partial(iter, [entry for entry in removed.entries if not os.path.lexists(to / entry.path)])
        if held:
            them = "it" if held == 1 else "them"
            print_lines([f"{number(held, 'image')} not restored: split holds {them} out"], err=True)

        def of_class(path: str) -> bool:
            return title in (None, class_title_of(path.partition("/")[0]))

        _note_elsewhere([one for one in elsewhere if of_class(one.path)])
        _note_earlier([one for one in removed.earlier if of_class(one.path)])
    done = restore_files(
        objects,
        to,
        FileSystem(),
        wanted=lambda entry: title in (None, entry.class_title) and (not paths or entry.path in paths),
        entries=entries,
    )
    problems = [f"! {safe(problem.path)}  ({problem.reason})" for problem in done.problems]
    for line in first(problems, len(problems), 20):
        print_lines([click.style(line, fg="red")], err=True)
    if done.older:
        print_lines(
            [f"{number(len(done.older), 'older image')} of the same files not restored; the backup keeps them"],
            err=True,
        )
    unplaced = [] if chosen else _unplaced(layout, objects)
    if unplaced:
        perhaps = "" if title is None else ", perhaps of this class"
        lines = [
            f"{number(len(unplaced), 'image')} of the backup not restored{perhaps}: {NO_LINE_OF_MANY}",
            "  To write the missing lines again where the rest is known: astica-sync backup verify",
        ]
        print_lines([click.style(line, fg="red") for line in lines], err=True)
    print_lines(
        [
            f"{safe(str(to))}: {number(done.written, 'file')} written, {done.already_there:,} already there, "
            f"{len(problems) + len(unplaced):,} failed"
        ]
    )
    return exit_code_in_part(done.written + done.already_there, len(problems) + len(unplaced))


def _unplaced(layout: "Layout", objects: "Backup") -> list[str]:
    """The objects that a restore of everything leaves out, without those that were never uploaded."""
    from astica_sync.local.backup.missing_names import never_used
    from astica_sync.local.db.journal import Journal

    unnamed = objects.unnamed()
    if not unnamed or not layout.journal_db.exists():
        return unnamed
    with contextlib.closing(Journal(layout.journal_db, "restore")) as journal:
        leftovers = never_used(objects, journal, unnamed)
    return [content for content in unnamed if content not in leftovers]


def _removed(layout: "Layout", objects: "Backup", since: float) -> "tuple[Removed, int, list[Elsewhere]]":
    """What was removed since then, how much of it is left out since it is among the held-out images, and what of it
    the store has in another place."""
    from astica_sync.clock import SystemClock
    from astica_sync.exchange.known_contents import held_contents
    from astica_sync.local.backup.find_restorable import Removed, found_elsewhere, removed_since
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.identity import read_sentinel
    from astica_sync.local.scan.scanner import scan_store

    with (
        contextlib.closing(Index(layout.index_db)) as index,
        contextlib.closing(Journal(layout.journal_db, "restore")) as journal,
    ):
        model_id = read_sentinel(layout).model_id
        seen = {sample.uid for sample in index.local_samples(model_id)}
        scan_store(layout, index, clock=SystemClock())
        in_store = {sample.content for sample in index.local_samples(model_id)}
        removed = removed_since(journal, objects, since, in_store, seen)
        elsewhere = found_elsewhere(journal, layout.root, since, in_store, index.paths_with)
        held = held_contents(journal)
    wanted = Removed(
        tuple(entry for entry in removed.entries if entry.content not in held),
        tuple(one for one in removed.earlier if one.content not in held),
    )
    return wanted, len({entry.content for entry in removed.entries if entry.content in held}), elsewhere


def _note_elsewhere(elsewhere: "list[Elsewhere]") -> None:
    if not elsewhere:
        return
    verbose = verbosity() is Verbosity.VERBOSE
    them = "it" if len(elsewhere) == 1 else "them"
    places = "" if verbose else "; for the places: --verbose"
    lines = [f"{number(len(elsewhere), 'image')} not restored: the store has {them} in another place{places}"]
    if verbose:
        lines += [f"  {safe(one.path)}  (now {safe(one.now)})" for one in elsewhere]
    print_lines(lines, err=True)


def _note_earlier(earlier: "list[EarlierPlace]") -> None:
    if not earlier:
        return
    verbose = verbosity() is Verbosity.VERBOSE
    count = number(len(earlier), "earlier place")
    lines = [
        f"{count} of deleted images left out: another class had the image then"
        + ("; a place that is named comes back" if verbose else "; for the places: --verbose")
    ]
    if verbose:
        lines += [f"  {safe(one.path)}  (later {safe(one.last)})" for one in earlier]
    print_lines(lines, err=True)


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
    journal, was last used before the given time, and was not sent to another model that the store had before, unless
    its removal from there was confirmed. No other command removes images from the backup. Sends one
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
    return click.confirm(f"Remove {number(count, 'image')} permanently? There is no undo.", default=False, err=True)


def _open(store: Path | None) -> "tuple[Layout, Backup]":
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.filesystem import FileSystem

    layout = find(store)
    return layout, Backup(layout.backup, FileSystem(layout.root))


def _expected(layout: "Layout", objects: "Backup") -> Iterator[str]:
    """The content hashes of the journal's marks and of snapshots, so that an empty backup is not reported as good."""
    from astica_sync.errors import BackupDamaged
    from astica_sync.local.backup.manifests import Manifests
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.filesystem import FileSystem

    if layout.journal_db.exists():
        with contextlib.closing(Journal(layout.journal_db, "verify")) as journal:
            yield from (mark.content for mark in journal.marks())
    manifests = Manifests(objects, FileSystem())
    for snapshot in manifests.ids():
        with contextlib.suppress(BackupDamaged):
            yield from (entry.content for entry in manifests.entries(snapshot))


def _damaged_files(layout: "Layout", objects: "Backup") -> "Iterator[DamagedFile]":
    from astica_sync.core.versions.version import PENDING
    from astica_sync.local.backup.damaged_records import find_damaged_files
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.filesystem import FileSystem

    needed = []
    if layout.journal_db.exists():
        with contextlib.closing(Journal(layout.journal_db, "verify")) as journal:
            pending = journal.get_meta(PENDING)
            needed = [pending["snapshot"]] if pending else []
    return find_damaged_files(objects, FileSystem(), needed)


def _repair(
    layout: "Layout", objects: "Backup", bad: "list[VerifyResult]", unnamed: list[str]
) -> "tuple[list[VerifyResult], set[str]]":
    """Replaces damaged objects by files of the store with the same content, and adds missing lines to the catalog.
    Returns the repaired objects, and those without a line that were never uploaded. Repairs none while another process
    writes to the store."""
    from astica_sync.clock import SystemClock
    from astica_sync.local.backup.missing_names import add_missing_names, never_used
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.identity import read_sentinel
    from astica_sync.local.lock import writer_lock
    from astica_sync.local.scan.scanner import scan_store

    clock = SystemClock()
    try:
        with (
            writer_lock(layout),
            contextlib.closing(Index(layout.index_db)) as index,
            contextlib.closing(Journal(layout.journal_db, "verify")) as journal,
        ):
            scan_store(layout, index, clock=clock)
            repaired = [
                checked
                for checked in bad
                if objects.repair(checked.content, [layout.root / path for path in index.paths_with(checked.content)])
            ]
            # A line is written about a good object only.
            damaged = {checked.content for checked in bad if checked not in repaired}
            good = {content for content in unnamed if content not in damaged}
            if good:
                in_store = index.local_samples(read_sentinel(layout).model_id)
                add_missing_names(objects, FileSystem(), journal, in_store, good, clock.now())
            return repaired, never_used(objects, journal, objects.unnamed()) if good else set()
    except StoreError as error:
        print_lines([f"Cannot repair now: {safe(str(error))}"], err=True)
        # What another process has just put gets its line in a moment.
        return [], {content for content in unnamed if objects.time_of(content) > clock.now() - JUST_NOW_S}
