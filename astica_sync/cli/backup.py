"""``astica-sync backup``."""

import contextlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.wiring import find, store_option
from astica_sync.cli.words import first, json_name, number, safe

if TYPE_CHECKING:
    from astica_sync.store.backup import Backup, Checked
    from astica_sync.store.layout import Layout


class Part(click.ParamType[tuple[int, int]]):
    """A part of the whole such as ``2/7``."""

    name = "N/T"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+)/(\d+)", str(value).strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is no part such as 2/7", param, ctx)
        return int(match[1]), int(match[2])


@click.group("backup")
def backup() -> None:
    """The backup: the exact bytes of every sample that was ever sent.

    \b
    astica-sync backup list
    astica-sync backup verify
    astica-sync backup restore --to ~/rescued
    """


@backup.command("list")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each sample.")
def list_backup(store: Path | None, as_json: bool) -> int:
    """Show what the backup holds."""
    _, kept = _open(store)
    seen: set[tuple[str, str]] = set()
    per_class: Counter[str] = Counter()
    size = 0
    for entry in kept.samples():
        if (entry.class_title, entry.content) in seen:
            continue
        seen.add((entry.class_title, entry.content))
        per_class[entry.class_title] += 1
        size += entry.size
        if as_json:
            data = {
                "class": entry.class_title,
                "path": json_name(entry.path),
                "content": entry.content,
                "size": entry.size,
            }
            click.echo(json.dumps(data, ensure_ascii=False))
    if not as_json:
        for title, count in sorted(per_class.items()):
            click.echo(f"{count:>8}  {safe(title)}")
        click.echo(f"{number(len(seen), 'sample')}, {size / 1e6:,.1f} MB")
    return 0


@backup.command("verify")
@store_option
@click.option("--part", type=Part(), default="1/1", help="Only the N-th of T parts, such as 2/7.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def verify(store: Path | None, part: tuple[int, int], as_json: bool) -> int:
    """Read everything again; repair what is broken from the store where the bytes are still there.

    Exits with 1 when something stays broken.
    """
    layout, kept = _open(store)
    good, repaired = 0, []
    broken: list[Checked] = []
    for checked in kept.verify(part):
        if checked.reason is None:
            good += 1
        elif kept.repair(checked.content, _sources(layout, checked.content)):
            repaired.append(checked)
        else:
            broken.append(checked)
    named = kept.names_of({checked.content for checked in (*repaired, *broken)})

    def name(checked: "Checked") -> str:
        entries = named.get(checked.content)
        return entries[-1].path if entries else checked.content

    if as_json:
        data = {
            "good": good,
            "repaired": [{"path": json_name(name(one)), "content": one.content} for one in repaired],
            "broken": [{"path": json_name(name(one)), "content": one.content, "reason": one.reason} for one in broken],
        }
        click.echo(json.dumps(data, ensure_ascii=False))
    else:
        for one in repaired:
            click.echo(f"repaired from the store: {safe(name(one))}  (was: {one.reason})")
        for one in broken:
            click.echo(click.style(f"broken: {safe(name(one))}  ({one.reason})", fg="red"))
        click.echo(f"{number(good, 'object')} good, {len(repaired)} repaired, {len(broken)} broken")
    return 1 if broken else 0


@backup.command("restore")
@store_option
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to fill.")
@click.option("--class", "class_title", help="Only this class.")
def restore(store: Path | None, to: Path, class_title: str | None) -> int:
    """Write the class folders again, byte for byte. Never overwrites a file that differs, never leaves --to."""
    from astica_sync.store.disk import Disk
    from astica_sync.store.restore import restore as restore_files

    _, kept = _open(store)
    done = restore_files(kept, to, Disk(), wanted=lambda entry: class_title is None or entry.class_title == class_title)
    problems = [f"! {safe(problem.path)}  ({problem.reason})" for problem in done.problems]
    for line in first(problems, len(problems), 20):
        click.echo(click.style(line, fg="red"), err=True)
    if done.older:
        click.echo(f"{number(len(done.older), 'older image')} of the same files stay in the backup alone", err=True)
    click.echo(f"{number(done.written, 'file')} written, {done.already_there:,} there already, {len(problems)} not")
    return 1 if problems else 0


def _open(store: Path | None) -> "tuple[Layout, Backup]":
    from astica_sync.store.backup import Backup
    from astica_sync.store.disk import Disk

    layout = find(store)
    return layout, Backup(layout.backup, Disk())


def _sources(layout: "Layout", content: str) -> list[Path]:
    """The files of the store that held these bytes at the last scan."""
    from astica_sync.store.index import Index

    with contextlib.closing(Index(layout.index_db)) as index:
        return [layout.root / path for path in index.paths_with(content)]
