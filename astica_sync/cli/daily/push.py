"""``astica-sync push``."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.exit_codes import REFUSED
from astica_sync.cli.render.progress import Progress
from astica_sync.cli.render.push_output import exit_code_of, push_data, push_lines
from astica_sync.cli.render.status_output import did_you_mean, near_data, plan_data, refusal_data, status_lines
from astica_sync.cli.render.text import first, safe
from astica_sync.core.plan.guard import Allowance, Refusal
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from astica_sync.sync.push.round import Consent, Naming


class MaxRemove(click.ParamType[tuple[int | None, float | None]]):
    """A number of samples, or a share of the managed ones such as ``20%``."""

    name = "N|N%"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, float | None]:
        match = re.fullmatch(r"(\d+)(%?)", str(value).strip())
        if match is None or (match[2] and int(match[1]) > 100):
            self.fail(f"{value!r} is neither a number nor a share such as 20%", param, ctx)
        return (None, int(match[1]) / 100) if match[2] else (int(match[1]), None)


@click.command("push")
@store_option
@click.option("--dry-run", is_flag=True, help="Show the plan; send nothing but the view it is made from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when done and nothing else.")
@click.option(
    "--yes", is_flag=True, help="Remove whatever the plan removes, and make whatever class, without a question."
)
@click.option("--max-remove", type=MaxRemove(), help="Remove at most N samples, or N% of the managed ones.")
@click.option(
    "--new-class", "new_classes", multiple=True, metavar="TITLE", help="Make this class although it nearly is another."
)
@click.option("--as", "as_version", metavar="VERSION", help="Make the service equal to the data of a version instead.")
@click.option("--retry", is_flag=True, help="Try the samples again that failed for good before.")
def push(
    store: Path | None,
    dry_run: bool,
    as_json: bool,
    yes: bool,
    max_remove: tuple[int | None, float | None] | None,
    new_classes: tuple[str, ...],
    as_version: str | None,
    retry: bool,
) -> int:
    """Make the service equal to the store.

    Uploads what is new, then removes what left the store. A plan that removes unusually much is refused as a whole
    (exit code 4) while the uploads go ahead; on a terminal you are asked.

    With --as the service gets the data of a version back, from the backup; the folder is not touched. A plain push
    then brings the store forward again.

    \b
    astica-sync push
    astica-sync push --dry-run
    astica-sync push --max-remove 50
    astica-sync push --as 1001_20001
    """
    from astica_sync.api import Store

    def allowance(usual: Allowance) -> Allowance:
        at_most, share = max_remove or (None, None)
        if share is not None:
            return replace(usual, share=share, class_share=1.0, all=yes)
        return replace(usual, at_most=at_most, all=yes)

    quiet = dry_run or as_json
    listener = ProgressListener() if quiet else Progress()
    with open_store(store, listener, allowance=allowance) as opened:
        desk = Store.over(opened)
        if dry_run:
            seen = desk.status() if as_version is None else desk.plan_as(as_version)
            eta = opened.session.remote.service.forecast(seen.plan.requests)
            if as_json:
                refusals = refusal_data(seen.refusals) + near_data(seen.near)
                data = {**plan_data(seen.plan, eta), "refusals": refusals}
                click.echo(json.dumps(data, ensure_ascii=False))
            else:
                click.echo("\n".join(status_lines(seen, eta)))
            return REFUSED if seen.refusals or seen.near else 0
        try:
            pushed = desk.push(
                as_version=as_version,
                consent=_ask(listener, quiet=as_json),
                naming=_ask_title(listener, quiet=as_json, yes=yes),
                new_classes=new_classes,
                retry=retry,
            )
        finally:
            if isinstance(listener, Progress):
                listener.close()
    if as_json:
        click.echo(json.dumps(push_data(pushed), ensure_ascii=False))
    else:
        click.echo("\n".join(push_lines(pushed, as_version)))
    return exit_code_of(pushed)


def _ask(listener: ProgressListener, *, quiet: bool) -> "Consent":
    def ask(refusals: list[Refusal]) -> bool:
        if quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        if isinstance(listener, Progress):
            listener.close()
        for refusal in refusals:
            click.echo(f"\n{refusal.reason}:", err=True)
            names = [f"  - {safe(sample.path or sample.uid)}  (#{sample.sample_id})" for sample in refusal.samples]
            names += [f"  + {safe(upload.path)}" for upload in refusal.uploads]
            click.echo("\n".join(first(names, len(names), 20)), err=True)
        question = "Remove them from the service? The backup keeps their bytes."
        if any(refusal.uploads for refusal in refusals):
            question = "Look at the model on the service's page. Is it right to go on with all of them?"
        return click.confirm(f"\n{question}", default=False, err=True)

    return ask


def _ask_title(listener: ProgressListener, *, quiet: bool, yes: bool) -> "Naming":
    def ask(near: list[NearTitle]) -> bool:
        if yes or quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return yes
        if isinstance(listener, Progress):
            listener.close()
        for entry in near:
            click.echo(did_you_mean(entry), err=True)
        return click.confirm("Make new classes of them?", default=False, err=True)

    return ask
