"""``astica-sync backup restore``."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import exit_code_in_part
from astica_sync.cli.open_store import store_option
from astica_sync.cli.point_in_time import PointInTime
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import json_line, json_name, number, safe
from astica_sync.cli.undo.catalog_names import find_paths, find_title
from astica_sync.cli.undo.open_backup import open_backup
from astica_sync.cli.undo.rebuild_store import rebuild_from_mirror
from astica_sync.cli.undo.restore_lists import (
    LeftInBackup,
    is_there,
    left_out_json,
    preview_restore,
    print_left_out,
    print_preview,
    print_problems,
)
from astica_sync.open_session import trust_file

if TYPE_CHECKING:
    from astica_sync.core.find_moved_images import MovedImage
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.backup.catalog import CatalogEntry
    from astica_sync.local.filesystem import FileSystem
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
@click.option("--dry-run", is_flag=True, help="List what would be written or moved, and what not; change nothing.")
@click.option(
    "--move-back",
    "moves_back",
    is_flag=True,
    help="With --since: only move back what went to another class, and write what these images have overwritten.",
)
@click.option(
    "--overwritten",
    is_flag=True,
    help="With --since: also bring back images that were overwritten; the files that are there now are moved to "
    "NAME-overwritten next to the store, or, where the store is a mount, to its .astica-sync/overwritten.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def restore(
    names: tuple[str, ...],
    store: Path | None,
    to: Path | None,
    class_title: str | None,
    since: float | None,
    address: str | None,
    dry_run: bool,
    moves_back: bool,
    overwritten: bool,
    as_json: bool,
) -> int:
    """Write class folders, or single files, from the backup.

    Never overwrites a file and never writes outside of the target folder. Into the store it writes only the files that
    you name, and with --since what was deleted. Exits with 3 when some of the images could not be restored, and with 1
    when none could.

    \b
    astica-sync backup restore --to ~/rescued
    astica-sync backup restore --class Can
    astica-sync backup restore Can/001.jpg
    astica-sync backup restore --since yesterday --dry-run
    astica-sync backup restore --since yesterday
    astica-sync backup restore --since 1h --move-back
    astica-sync backup restore --since 1h --overwritten
    astica-sync backup restore --from s3://my/cans --to photos
    """
    from astica_sync.bucket.source_binding import refuse_in_bucket
    from astica_sync.bucket.store_files import store_files
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.backup.restore import is_same_folder, refuse_store
    from astica_sync.local.backup.restore import restore as restore_files
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.target_folder import check_target_folder

    if address is not None:
        chosen_part = names or store is not None or class_title is not None or since is not None
        if chosen_part or dry_run or moves_back or overwritten or as_json:
            raise click.UsageError("With --from give --to alone: the whole store is rebuilt.")
        return rebuild_from_mirror(address, to)
    if names and since is not None:
        raise click.UsageError("Give either FILE or --since.")
    if moves_back and (since is None or to is not None):
        raise click.UsageError("Give --move-back with --since and without --to: it moves images within the store.")
    if overwritten and (since is None or to is not None or moves_back):
        raise click.UsageError("Give --overwritten with --since, and without --to and --move-back.")
    layout, objects = open_backup(store)
    if moves_back or overwritten:
        option = "--move-back" if moves_back else "--overwritten"
        refuse_in_bucket(layout, f"{option} moves files", "Restore to a folder: --since TIME --to FOLDER.")
    chosen = bool(names) or since is not None
    files = FileSystem(layout.root)
    if chosen:
        # Only then is something of the store itself looked at, which may be in a bucket.
        files = store_files(layout, trust_file())
        objects = Backup(layout.backup, files)
    if to is None:
        to = layout.root if chosen else layout.root.with_name(f"{layout.root.name}-restored")
        if not chosen:
            check_target_folder(to, chosen=False)
    if not (chosen and is_same_folder(to, layout.root)):
        refuse_store(to)
    if not dry_run and is_same_folder(to, layout.root):
        click.get_current_context().with_resource(_watcher_waits(layout))
    title = None if class_title is None else find_title(objects, class_title)
    paths = find_paths(objects, layout.root, names)
    entries, left_out, freed = objects.samples, LeftInBackup(layout.root), frozenset[str]()
    moved: list[MovedImage] = []
    problems: list[tuple[str, str]] = []
    if since is not None:
        deleted, left_out = _find_removed(layout, objects, files, since, title)
        if moves_back:
            if not dry_run:
                from astica_sync.cli.undo.move_back import move_back

                back, failed = move_back(layout, left_out.moved)
                while back:
                    # What such an image had taken the place of may itself have moved before.
                    moved += back
                    deleted, left_out = _find_removed(layout, objects, files, since, title)
                    back, failed = move_back(layout, [one for one in left_out.moved if one not in moved])
                problems = [(problem.path, problem.reason) for problem in failed]
            freed = frozenset(one.now for one in (left_out.moved if dry_run else moved))
            under_moved = [entry for entry in deleted if entry.path in freed]
            left_out.deleted = len(deleted) - len(under_moved)
            deleted = under_moved
            # An image that is back has left the wrong class, which is what was asked for.
            back_again = {one.now for one in moved}
            left_out.others = [one for one in left_out.others if one.path not in back_again]
        left_out.taken = [entry for entry in deleted if entry.path not in freed and is_there(files, to / entry.path)]
        if overwritten:
            # What was moved or renamed to such a path would leave the store with the file.
            came = {one.now for one in left_out.moved} | {one.now for one in left_out.others}
            left_out.set_aside = [
                entry for entry in left_out.taken if entry in left_out.overwritten and entry.path not in came
            ]
            freed = frozenset(entry.path for entry in left_out.set_aside)
            deleted = [one for one in deleted if one.path not in freed or one in left_out.overwritten]
            left_out.taken = [entry for entry in left_out.taken if entry.path not in freed]
            # Else it would be offered for what it leaves.
            left_out.overwritten = ()
            if left_out.set_aside:
                from astica_sync.cli.undo.set_aside import AsideFolder

                left_out.aside = AsideFolder(layout)
                if not dry_run:
                    stayed = left_out.aside.take(objects, left_out.set_aside)
                    problems = [(problem.path, problem.reason) for problem in stayed]
        taken = {entry.path for entry in left_out.taken} | {path for path, _ in problems}
        entries = partial(iter, [entry for entry in deleted if entry.path not in taken])

    def wanted(entry: "CatalogEntry") -> bool:
        return title in (None, entry.class_title) and (not paths or entry.path in paths)

    if dry_run:
        preview = preview_restore(objects, to, entries, wanted, freed, files)
        unplaced = [] if chosen else _unplaced(layout, objects)
        print_preview(preview, left_out, to, moves_back=moves_back, unplaced=len(unplaced), as_json=as_json)
        return 0
    try:
        done = restore_files(objects, to, files, wanted=wanted, entries=entries)
    finally:
        if left_out.aside is not None:
            left_out.aside.put_back()
    problems += [(problem.path, problem.reason) for problem in done.problems]
    unplaced = [] if chosen else _unplaced(layout, objects)
    failures = len(problems) + len(unplaced)
    # Where a part of the store cannot be read, what was to be restored may be there.
    undone = failures + len(left_out.unread)
    code = exit_code_in_part(done.written + done.already_there + len(moved), undone)
    if as_json:
        counts = {"written": done.written, "already_there": done.already_there, "moved_back": len(moved)}
        failed_json = [{"path": json_name(path), "reason": reason} for path, reason in problems]
        rest = {"failed": failed_json, "unplaced": len(unplaced), "older": len(done.older)}
        click.echo(json_line({"to": json_name(str(to)), "dry_run": False} | counts | rest | left_out_json(left_out)))
        return code
    moves = f"{number(len(moved), 'file')} moved back, " if moves_back else ""
    print_lines(
        [
            f"{safe(str(to))}: {moves}{number(done.written, 'file')} written, {done.already_there:,} already there, "
            f"{failures:,} failed"
        ]
    )
    print_problems(problems)
    print_left_out(left_out, moves_back=moves_back)
    if done.older:
        print_lines(
            [
                f"{number(len(done.older), 'older image')} of the same files not restored; the backup keeps them",
                '  To find them: astica-sync backup list --json. To get one: the page "Undo a mistake" of the manual',
            ],
            err=True,
        )
    if unplaced:
        perhaps = "" if title is None else ", perhaps of this class"
        lines = [
            f"{number(len(unplaced), 'image')} of the backup not restored{perhaps}: {NO_LINE_OF_MANY}",
            "  To write the missing lines again where the rest is known: astica-sync backup verify",
        ]
        print_lines([click.style(line, fg="red") for line in lines], err=True)
    return code


@contextlib.contextmanager
def _watcher_waits(layout: "Layout") -> Iterator[None]:
    """Holds the writer's lock while images come back: a watcher would remove from the service what is not back yet, as
    soon as that is so little that the guard does not ask. Where a push has the lock, it goes on without."""
    from astica_sync.errors import StoreError
    from astica_sync.local.lock import writer_lock

    def on_wait(seconds: float, why: str) -> None:
        print_lines([f"Waiting for at most {seconds:.0f} s: {safe(why)}"], err=True)

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(StoreError):
            stack.enter_context(writer_lock(layout, on_wait=on_wait))
        yield


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


def _find_removed(
    layout: "Layout", objects: "Backup", files: "FileSystem", since: float, title: str | None
) -> "tuple[list[CatalogEntry], LeftInBackup]":
    """What was removed since then, and what of it is not restored: the held-out images, and what the store has in
    another place. ``title`` is the only class that is asked for."""
    from astica_sync.bucket.source_binding import source_of
    from astica_sync.bucket.store_files import hash_threads
    from astica_sync.clock import SystemClock
    from astica_sync.exchange.known_contents import held_contents
    from astica_sync.local.backup.moved_since import moved_since
    from astica_sync.local.backup.overwritten_since import overwritten_since
    from astica_sync.local.backup.removed_since import found_elsewhere, removed_since
    from astica_sync.local.class_folders.class_title import class_title_of
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.scan.scanner import ScanOptions, scan_store
    from astica_sync.local.store_sentinel import read_sentinel

    with (
        contextlib.closing(Index(layout.index_db)) as index,
        contextlib.closing(Journal(layout.journal_db, "restore")) as journal,
    ):
        model_id = read_sentinel(layout).model_id
        seen = {sample.uid for sample in index.local_samples(model_id)}
        options = ScanOptions(threads=hash_threads(files))
        scan = scan_store(layout, index, clock=SystemClock(), files=files, options=options)
        in_store = {sample.content for sample in index.local_samples(model_id)}
        removed = removed_since(journal, objects, since, in_store, seen)
        elsewhere = found_elsewhere(journal, layout.root, since, in_store, index.paths_with)
        if source_of(files):
            # It looks for the file on the disk.
            elsewhere = [one for one in elsewhere if index.file_at(one.path) is None]
        moved, others = moved_since(journal, index, model_id, since, elsewhere)
        held = held_contents(journal)
        overwritten = overwritten_since(journal, index, model_id, since, removed.entries)
        unread = [one for one in index.problems() if one.path in scan.hiding]

    hidden = tuple(f"{one.path}/" for one in unread)

    def is_wanted(path: str) -> bool:
        # What is at a place that cannot be read was not deleted as far as is known.
        return not f"{path}/".startswith(hidden) and title in (None, class_title_of(path.partition("/")[0]))

    left_out = LeftInBackup(
        layout.root,
        [one for one in moved if is_wanted(one.path)],
        [one for one in others if is_wanted(one.path)],
        [one for one in removed.earlier if one.content not in held and is_wanted(one.path)],
        overwritten=overwritten,
        unread=unread,
        held_out=len({entry.content for entry in removed.entries if entry.content in held}),
    )
    return [one for one in removed.entries if one.content not in held and is_wanted(one.path)], left_out
