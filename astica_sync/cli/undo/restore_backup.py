"""``astica-sync backup restore``."""

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.context import store_option
from astica_sync.cli.exit_codes import exit_code_in_part
from astica_sync.cli.point_in_time import PointInTime
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import first, number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.cli.undo.catalog_names import find_paths, find_title
from astica_sync.cli.undo.mirror import rebuild
from astica_sync.cli.undo.open_backup import open_backup

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.backup.find_restorable import EarlierPlace, Elsewhere, Removed
    from astica_sync.local.layout import Layout


NO_LINE_OF_MANY = "no line of the catalog names them, so their class and file are unknown"


@click.command("restore")
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
    layout, objects = open_backup(store)
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
