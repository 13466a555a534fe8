"""``astica-sync adopt``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.render.text import first, json_name, number, safe
from astica_sync.core.versions.matching import Sure
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from astica_sync.core.versions.matching import Matching, Pair

SHOWN = 50


@click.command("adopt")
@store_option
@click.option("--yes", is_flag=True, help="Take over the certain pairs without a question.")
@click.option("--likely", is_flag=True, help="With --yes: the likely pairs as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else; takes over with --yes.")
def adopt(store: Path | None, yes: bool, likely: bool, as_json: bool) -> int:
    """Take over samples that were made elsewhere: on the service's page, or by a script.

    Pairs each with the local file it seems to be, by class, size and the file's name in its uid, and shows the pairs.
    What you agree to is managed from then on: it is not uploaded again, and it goes when its file goes. What is not
    paired is never touched.

    \b
    astica-sync adopt
    astica-sync adopt --yes --likely
    """
    from astica_sync.api import Store

    with open_store(store, ProgressListener()) as opened:
        desk = Store.over(opened)
        found = desk.find_adoptable()
        if not as_json:
            click.echo("\n".join(_lines(found)).lstrip("\n"))
        wanted = [pair for sure in (Sure.CERTAIN, Sure.LIKELY) for pair in _agreed(found, sure, yes, likely, as_json)]
        adopted = desk.adopt(wanted)
    if as_json:
        click.echo(json.dumps({**_data(found), "adopted": adopted}, ensure_ascii=False))
    elif found.pairs:
        click.echo(f"Took over {number(adopted, 'sample')}; the others stay as they are.")
        if not wanted and not sys.stdin.isatty():
            click.echo("To take over the certain pairs: astica-sync adopt --yes")
    return 0


def _agreed(found: "Matching", sure: Sure, yes: bool, likely: bool, quiet: bool) -> "list[Pair]":
    pairs = [pair for pair in found.pairs if pair.sure is sure]
    if not pairs:
        return []
    if yes:
        return pairs if sure is Sure.CERTAIN or likely else []
    if quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return []
    word = "certain" if sure is Sure.CERTAIN else "likely"
    question = f"Take over the {number(len(pairs), f'{word} pair')}?"
    return pairs if click.confirm(question, default=False, err=True) else []


def _lines(found: "Matching") -> list[str]:
    if not (found.pairs or found.lost or found.doubles):
        return ["Nothing on the service was made elsewhere."]
    pairs = [_pair_line(pair) for pair in found.pairs]
    lines = first(pairs, len(pairs), SHOWN)
    if found.doubles:
        count = number(len(found.doubles), "image is", "images are")
        lines += ["", f"{count} there twice, since the store has sent the file as well; astica-sync remove-sample ID:"]
        doubles = [_pair_line(pair) for pair in found.doubles]
        lines += first(doubles, len(doubles), SHOWN)
    if found.lost:
        lines += ["", f"Without a local copy ({len(found.lost):,}); nobody here can bring these back, so keep them:"]
        lost = [f"  {safe(one.class_title)}  #{one.sample_id} {safe(one.uid)}".rstrip() for one in found.lost]
        lines += first(lost, len(lost), SHOWN)
    return lines


def _pair_line(pair: "Pair") -> str:
    sure = "certain" if pair.sure is Sure.CERTAIN else "likely "
    remote = f"#{pair.remote.sample_id} {safe(pair.remote.uid) or '(no uid)'}"
    return f"{sure}  {remote} = {safe(pair.local.paths[0])}  ({pair.why})"


def _data(found: "Matching") -> dict[str, Any]:
    return {
        "pairs": [_pair_data(pair) for pair in found.pairs],
        "doubles": [_pair_data(pair) for pair in found.doubles],
        "unrecoverable": [{"class": one.class_title, "sample_id": one.sample_id, "uid": one.uid} for one in found.lost],
    }


def _pair_data(pair: "Pair") -> dict[str, Any]:
    return {
        "class": pair.local.class_title,
        "sample_id": pair.remote.sample_id,
        "uid": pair.remote.uid,
        "path": json_name(pair.local.paths[0]),
        "certain": pair.sure is Sure.CERTAIN,
        "why": pair.why,
    }
