"""``astica-sync split``."""

import sys
from collections import Counter
from pathlib import Path

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.text import json_line, json_name, number, safe
from astica_sync.errors import GuardRefused


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
@click.option("--dry-run", is_flag=True, help="Show what would be moved; move nothing.")
@click.option("--yes", is_flag=True, help="Move without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def split(store: Path | None, to: Path, share: float, seed: int, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Move held-out images out of the store.

    Moves a share of each class to another folder, to score versions on it (astica-sync evaluate). Pictures that are
    nearly the same stay together, so that no version is scored on what it was trained on. The next push removes the
    moved images from the service. Do it once: scores on the same images can be compared.

    \b
    astica-sync split --to ../held-out --dry-run
    astica-sync split --to ../held-out --share 20%
    """
    from astica_sync.api import Store

    with open_store(store, Progress(), offline=True) as opened:
        api = Store.over(opened)
        planned = api.plan_split(to, share=share, seed=seed)
        per_class = Counter(path.split("/")[0] for path in planned.paths)
        if not as_json:
            for title, count in sorted(per_class.items()):
                click.echo(f"{count:>8}  {safe(title)}")
            click.echo(f"{number(len(planned.paths), 'file')} to {safe(str(to))}")
            for kept in planned.kept:
                why = "it has too few images that differ for this share"
                if kept.similar:
                    one, other = map(safe, kept.similar)
                    why += f"; {one} is nearly the same picture as {other}, for example"
                click.echo(f"Nothing of {safe(kept.title)} is held out, all {number(kept.files, 'file')} stay: {why}.")
        moved = 0
        if not dry_run and planned.paths:
            if not yes and (as_json or not _confirmed(len(planned.paths))):
                raise GuardRefused(
                    f"moving {number(len(planned.paths), 'file')} was not confirmed; nothing was moved",
                    "To move them without a question, run the same command with --yes.",
                )
            moved = api.split(planned)
    if as_json:
        data = {"to": json_name(str(to)), "paths": [json_name(path) for path in planned.paths], "moved": moved}
        click.echo(json_line(data))
    elif moved:
        click.echo(f"Moved {number(moved, 'file')}. To remove them from the service as well: astica-sync push")
    elif dry_run:
        click.echo("Nothing was moved (--dry-run).")
    return 0


def _confirmed(count: int) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm(f"Move {number(count, 'file')} out of the store?", default=False, err=True)
