"""``astica-sync backup verify``."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import DONE, ERROR
from astica_sync.cli.open_store import store_option
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import first, json_line, json_name, number, safe
from astica_sync.cli.undo.open_backup import open_backup
from astica_sync.errors import StoreError
from astica_sync.open_session import trust_file

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup, VerifyResult
    from astica_sync.local.backup.damaged_files import DamagedFile
    from astica_sync.local.layout import Layout


NO_LINE = "no line of the catalog names it"
NO_LINE_HINT = "Restore catalog.jsonl from a copy of the backup; the image itself is good."
HOW_TO_REPAIR = (
    "To repair a damaged object, put a copy of that image into a class folder of the store and run "
    "astica-sync backup verify again. A mirror has a copy in its folder objects, under the hash that --json shows."
)
NOT_CONVERTED = "what was sent in its place is missing or damaged"
JUST_NOW_S = 600.0


class PartOption(click.ParamType[tuple[int, int]]):
    """A part of the whole such as ``2/7``."""

    name = "N/T"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+)/(\d+)", str(value).strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is not a part such as 2/7", param, ctx)
        return int(match[1]), int(match[2])


@click.command("verify")
@store_option
@click.option("--part", type=PartOption(), default="1/1", help="Check only the N-th of T parts, such as 2/7.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def verify(store: Path | None, part: tuple[int, int], as_json: bool) -> int:
    """Check every object of the backup, and what names them.

    Reads each object, snapshot and record, and compares it with its hash. Repairs damaged objects from the store where
    it has the same image, converts again what was sent in place of an image, and writes missing lines of the catalog
    again. Exits with 1 when something stays damaged.

    \b
    astica-sync backup verify
    astica-sync backup verify --part 2/7
    """
    layout, objects = open_backup(store)
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
    converted, unconverted = _convert_again(layout, objects, part)
    shown = {checked.content for checked in (*repaired, *broken)} | named | {*converted, *unconverted}
    entries_of = objects.entries_of(shown)

    def path(content: str) -> str:
        entries = entries_of.get(content)
        return entries[-1].path if entries else content

    good_again = {one.content: one.reason or "" for one in repaired}
    good_again |= {content: NO_LINE for content in sorted(named) if content not in good_again}
    repairs = len(good_again) + len(converted)
    lost = [(path(one.content), one.content, one.reason or "", "") for one in broken]
    lost += [(file.name, "", file.reason, file.hint) for file in _damaged_files(layout, objects)]
    lost += [(content, content, NO_LINE, NO_LINE_HINT) for content in nameless]
    lost += [(path(content), content, reason, "") for content, reason in unconverted.items()]
    if as_json:
        data = {
            "good": good,
            "repaired": [{"path": json_name(path(one)), "content": one} for one in (*good_again, *converted)],
            "broken": [
                {"path": json_name(name), "content": content, "reason": reason} for name, content, reason, _ in lost
            ],
        }
        click.echo(json_line(data))
    else:
        lines = [
            f"repaired from the store: {safe(path(content))}  (was: {reason})" for content, reason in good_again.items()
        ]
        lines += [f"converted again: {safe(path(content))}  (was: {NOT_CONVERTED})" for content in converted]
        lines = first(lines, len(lines), 20)
        for name, _, reason, hint in lost:
            lines.append(click.style(f"damaged: {safe(name)}  ({safe(reason)})", fg="red"))
            lines += [f"  {safe(hint)}"] if hint else []
        if leftovers:
            lines.append(f"{number(len(leftovers), 'image')} without a line in the catalog, never uploaded")
        if broken:
            lines.append(HOW_TO_REPAIR)
        print_lines([*lines, f"{number(good, 'object')} good, {repairs:,} repaired, {len(lost):,} damaged"])
    return ERROR if lost else DONE


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
    from astica_sync.core.versions.pending_training import PENDING
    from astica_sync.local.backup.damaged_files import find_damaged_files
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.filesystem import FileSystem

    needed = []
    if layout.journal_db.exists():
        with contextlib.closing(Journal(layout.journal_db, "verify")) as journal:
            pending = journal.get_meta(PENDING)
            needed = [pending["snapshot"]] if pending else []
    return find_damaged_files(objects, FileSystem(), needed)


def _convert_again(layout: "Layout", objects: "Backup", part: tuple[int, int]) -> tuple[list[str], dict[str, str]]:
    """Converts the images again whose converted form is missing or damaged, from their originals in the backup. Returns
    the contents of these, and of the others with the reason."""
    damaged = list(objects.prepared.damaged(part))
    if not damaged:
        return [], {}
    from astica_sync.core.recipe import Recipe
    from astica_sync.local.image.prepare.preparer import Preparer
    from astica_sync.local.lock import writer_lock

    # One image may have been converted by several recipes.
    left = {(record.content, record.recipe): NOT_CONVERTED for record in damaged}
    with contextlib.suppress(StoreError), writer_lock(layout), contextlib.closing(Preparer()) as preparer:
        for record in damaged:
            try:
                image = preparer.prepare(objects.read(record.content), Recipe.parse(record.recipe)).data
                objects.prepared.add(record.content, record.format, image, record.recipe)
            except ValueError:
                # A later version of the program wrote it.
                left[record.content, record.recipe] = f"{NOT_CONVERTED}, and its recipe is unknown: {record.recipe}"
            except StoreError as error:
                left[record.content, record.recipe] = str(error)
            else:
                del left[record.content, record.recipe]
    reasons = {content: reason for (content, _), reason in left.items()}
    return [content for content in dict.fromkeys(one.content for one in damaged) if content not in reasons], reasons


def _repair(
    layout: "Layout", objects: "Backup", bad: "list[VerifyResult]", unnamed: list[str]
) -> "tuple[list[VerifyResult], set[str]]":
    """Replaces damaged objects by files of the store with the same content, and adds missing lines to the catalog.
    Returns the repaired objects, and those without a line that were never uploaded. Repairs none while another process
    writes to the store."""
    from astica_sync.bucket.store_files import hash_threads, store_files
    from astica_sync.clock import SystemClock
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.backup.missing_names import add_missing_names, never_used
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.lock import writer_lock
    from astica_sync.local.scan.scanner import ScanOptions, scan_store
    from astica_sync.local.store_sentinel import read_sentinel

    clock = SystemClock()
    try:
        with (
            writer_lock(layout),
            contextlib.closing(Index(layout.index_db)) as index,
            contextlib.closing(Journal(layout.journal_db, "verify")) as journal,
        ):
            fs = store_files(layout, trust_file())
            objects = Backup(layout.backup, fs)
            options = ScanOptions(threads=hash_threads(fs))
            scan_store(layout, index, clock=clock, files=fs, options=options)
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
