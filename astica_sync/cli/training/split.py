"""``astica-sync split``."""

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
from click.core import ParameterSource

from astica_sync.cli.open_store import open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm, print_lines
from astica_sync.cli.render.text import json_line, json_name, number, safe
from astica_sync.errors import GuardRefused
from astica_sync.open_session import OpenStore


class Share(click.ParamType[float]):
    """A share such as ``20%`` or ``0.2``."""

    name = "SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            self.fail(f"{value!r} is not a share such as 20%", param, ctx)
        return share


@click.command("split")
@store_option
@click.option(
    "--to", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder for the held-out images."
)
@click.option("--share", type=Share(), default="20%", show_default=True, help="The share of each class to hold out.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another number chooses other images.")
@click.option("--top-up", is_flag=True, help="Hold out a share of the photos that came since; no image changes sides.")
@click.option("--undo", is_flag=True, help="Move the held-out images back into the store.")
@click.option("--dry-run", is_flag=True, help="Show what would be moved; move nothing.")
@click.option("--yes", is_flag=True, help="Move without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.pass_context
def split(
    context: click.Context,
    store: Path | None,
    to: Path,
    share: float,
    seed: int,
    top_up: bool,
    undo: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Move held-out images out of the store.

    Moves a share of each class to another folder, to score versions on it (astica-sync evaluate). Pictures that are
    nearly the same stay together, so that no version is scored on what it was trained on. The next push removes the
    moved images from the service. Do it once: scores on the same images can be compared.

    \b
    astica-sync split --to ../held-out --dry-run
    astica-sync split --to ../held-out --share 20%
    astica-sync split --to ../held-out --top-up
    astica-sync split --to ../held-out --undo
    """
    from astica_sync.api import Store

    given = [name for name in ("share", "seed") if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if top_up and undo:
        raise click.UsageError("Give either --top-up or --undo.")
    if given and (top_up or undo):
        raise click.UsageError(f"--{given[0]} is that of the split: leave it out.")
    with open_store(store, Progress(), offline=True) as opened:
        api = Store.over(opened)
        if undo:
            planned = api.plan_undo_split(to)
        else:
            planned = api.plan_top_up(to) if top_up else api.plan_split(to, share=share, seed=seed)
        per_class = Counter(path.split("/")[0] for path in planned.paths)
        if not as_json:
            for title, count in sorted(per_class.items()):
                print_lines([f"{count:>8}  {safe(title)}"])
            print_lines([f"{number(len(planned.paths), 'file')} {_way(to, undo=undo)}"])
            for kept in planned.kept:
                why = "it has too few images that differ for this share"
                if kept.similar:
                    one, other = map(safe, kept.similar)
                    why += f"; {one} is nearly the same picture as {other}, for example"
                stay = "its only file stays" if kept.files == 1 else f"all {number(kept.files, 'file')} stay"
                print_lines([f"Nothing of {safe(kept.title)} is held out, {stay}: {why}."])
        moved, sent = 0, not undo and _are_sent(opened, planned.paths)
        if not dry_run and (planned.paths or undo):
            if not yes and (as_json or not _confirmed(len(planned.paths), undo=undo)):
                raise GuardRefused(
                    f"moving {number(len(planned.paths), 'file')} was not confirmed; nothing was moved",
                    "To move them without a question, run the same command with --yes.",
                )
            moved = api.undo_split(planned) if undo else api.split(planned)
    if as_json:
        data = {"to": json_name(str(to)), "paths": [json_name(path) for path in planned.paths], "moved": moved}
        click.echo(json_line(data))
    elif moved and undo:
        print_lines([f"Moved {number(moved, 'file')} back. To send what the service lacks: astica-sync push"])
    elif moved:
        after = "None was sent to the service. To send the others"
        if sent:
            after = "To remove them from the service as well"
        print_lines([f"Moved {number(moved, 'file')}. {after}: astica-sync push"])
    elif dry_run:
        click.echo("Nothing was moved (--dry-run).")
    return 0


def _are_sent(opened: OpenStore, paths: Iterable[str]) -> bool:
    """Whether any of these files may be on the service."""
    local = opened.session.local
    found = map(local.index.file_at, paths)
    return any(local.journal.marks_of(one[0]) for one in found if one is not None and one[0])


def _way(to: Path, *, undo: bool) -> str:
    return f"from {safe(str(to))} back to the store" if undo else f"to {safe(str(to))}"


def _confirmed(count: int, *, undo: bool) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    way = "back into" if undo else "out of"
    return confirm(f"Move {number(count, 'file')} {way} the store?")
