"""``astica-sync snapshot``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.command_group import CommandGroup
from astica_sync.cli.exit_codes import DONE, ERROR, exit_code_in_part
from astica_sync.cli.open_store import find, store_option
from astica_sync.cli.render.diff_output import diff_counts, diff_lines
from astica_sync.cli.render.messages import print_error, print_lines
from astica_sync.cli.render.status_output import unmanaged_note
from astica_sync.cli.render.text import first, json_line, json_name, number, safe
from astica_sync.clock import local_time
from astica_sync.core.versions.snapshot import ManagedSample, SnapshotSample, diff
from astica_sync.errors import BackupDamaged

if TYPE_CHECKING:
    from astica_sync.training.version_history import VersionHistory


@click.group("snapshot", cls=CommandGroup)
def snapshot() -> None:
    """List, compare and restore the data of versions.

    The exact data of each version is kept in the backup. VERSION is a name from astica-sync versions, a number such as
    @2, or the first digits of a snapshot. Needs no key and no network.

    \b
    astica-sync snapshot list
    astica-sync snapshot diff @1 @2
    astica-sync snapshot restore @1 --to ~/as-it-was
    """


@snapshot.command("list")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each snapshot.")
def list_snapshots(store: Path | None, as_json: bool) -> int:
    """List the snapshots and the versions made from them.

    \b
    astica-sync snapshot list
    """
    code = DONE
    with _history(store) as history:
        names: dict[str, list[str]] = {}
        for version in history.versions():
            if version.snapshot is not None:
                names.setdefault(version.snapshot, []).append(version.name or f"@{version.number}")
        present = history.snapshots.ids()
        if not (present or names or as_json):
            print_lines(["No snapshots yet. Each training makes one: astica-sync train"])
        for one in (*present, *sorted(names.keys() - present)):
            try:
                samples = list(history.snapshots.read(one))
            except BackupDamaged as error:
                code = ERROR
                print_error(error)
                continue
            classes = {sample.class_title for sample in samples}
            at = history.snapshots.frozen_at(one)
            if as_json:
                data = {
                    "snapshot": one,
                    "frozen_at": at,
                    "samples": len(samples),
                    "classes": len(classes),
                    "versions": names.get(one, []),
                }
                click.echo(json_line(data))
                continue
            versions = ", ".join(map(safe, names.get(one, []))) or "no known version"
            count = f"{number(len(samples), 'sample')} in {number(len(classes), 'class', 'classes')}"
            print_lines([f"{one[:8]}  {local_time(at)}  {count}  ({versions})"])
    return code


@snapshot.command("show")
@click.argument("version")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each sample.")
def show(version: str, store: Path | None, as_json: bool) -> int:
    """Show the samples of a version.

    \b
    astica-sync snapshot show @2
    astica-sync snapshot show @2 --json
    """
    with _history(store) as history:
        named = history.find_snapshot(version)
        per_class: dict[str, int] = {}
        elsewhere = 0
        for sample in history.snapshots.read(named.snapshot):
            if as_json:
                click.echo(json_line(_data(sample)))
            per_class[sample.class_title] = per_class.get(sample.class_title, 0) + 1
            elsewhere += not isinstance(sample, ManagedSample)
    if not as_json:
        click.echo(f"{safe(named.name)}: snapshot {named.snapshot}")
        for title, count in sorted(per_class.items()):
            click.echo(f"{count:>8}  {safe(title)}")
        if elsewhere:
            click.echo(f"{number(elsewhere, 'sample')} made elsewhere, not in the backup")
    return 0


@snapshot.command("diff")
@click.argument("before")
@click.argument("after")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def show_diff(before: str, after: str, store: Path | None, as_json: bool) -> int:
    """Show what changed from one version to another.

    \b
    astica-sync snapshot diff @1 @2
    """
    with _history(store) as history:
        old, new = history.find_snapshot(before), history.find_snapshot(after)
        changed = diff(history.snapshots.read(old.snapshot), history.snapshots.read(new.snapshot))
        moved = {move.content for move in changed.moved}
        after_paths = {
            (sample.content, sample.class_title): sample.path
            for sample in history.snapshots.read(new.snapshot)
            if isinstance(sample, ManagedSample) and sample.content in moved
        }
    if as_json:
        data = {
            **diff_counts(changed),
            "added_samples": [_data(sample) for sample in changed.added],
            "removed_samples": [_data(sample) for sample in changed.removed],
            "moved_samples": [
                {"content": move.content, "before": move.before, "after": move.after} for move in changed.moved
            ],
        }
        click.echo(json_line(data))
        return 0
    if not changed:
        click.echo("No difference.")
    click.echo("\n".join(diff_lines(changed)), nl=bool(changed))
    lines = [click.style(f"  + {_name(sample)}", fg="green") for sample in changed.added]
    lines += [click.style(f"  - {_name(sample)}", fg="red") for sample in changed.removed]
    lines += [
        click.style(
            f"  > {safe(after_paths.get((move.content, move.after), move.content))}  (from {safe(move.before)})",
            fg="yellow",
        )
        for move in changed.moved
    ]
    for line in first(lines, len(lines), 50):
        click.echo(line)
    return 0


@snapshot.command("restore")
@click.argument("version")
@click.option(
    "--to",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write to; not the store.",
)
@store_option
def restore(version: str, to: Path, store: Path | None) -> int:
    """Write the class folders of a version.

    Never overwrites a file and never writes outside of the target folder. Exits with 3 when some of the images could
    not be restored, and with 1 when none could.

    \b
    astica-sync snapshot restore 1001_20001 --to ~/as-it-was
    """
    with _history(store) as history:
        named = history.find_snapshot(version)
        done = history.restore(named.snapshot, to)
        elsewhere = sum(not isinstance(sample, ManagedSample) for sample in history.snapshots.read(named.snapshot))
    problems = [f"! {safe(problem.path)}  ({problem.reason})" for problem in done.problems]
    for line in first(problems, len(problems), 20):
        print_lines([click.style(line, fg="red")], err=True)
    print_lines(
        [
            f"{safe(str(to))}: {number(done.written, 'file')} written, {done.already_there:,} already there, "
            f"{len(problems):,} failed"
        ]
    )
    if elsewhere:
        print_lines([unmanaged_note(elsewhere, version)], err=True)
    return exit_code_in_part(done.written + done.already_there, len(problems))


@contextlib.contextmanager
def _history(store: Path | None) -> "Iterator[VersionHistory]":
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.store_sentinel import read_sentinel
    from astica_sync.training.version_history import VersionHistory

    layout = find(store)
    fs = FileSystem(layout.root)
    yield VersionHistory(layout, Backup(layout.backup, fs), fs, read_sentinel(layout).model_id)


def _data(sample: SnapshotSample) -> dict[str, Any]:
    if isinstance(sample, ManagedSample):
        return {"class": sample.class_title, "path": json_name(sample.path), "content": sample.content}
    return {"class": sample.class_title, "uid": sample.uid, "sample_id": sample.sample_id}


def _name(sample: SnapshotSample) -> str:
    if isinstance(sample, ManagedSample):
        return safe(sample.path)
    return f"{safe(sample.class_title)}  #{sample.sample_id} {safe(sample.uid)}  (made elsewhere)"
