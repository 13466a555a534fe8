"""``astica-sync adopt``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.open_store import open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm, print_lines
from astica_sync.cli.render.text import first, json_line, json_name, number, safe
from astica_sync.core.versions.match_unmanaged import Certainty

if TYPE_CHECKING:
    from astica_sync.core.versions.match_unmanaged import Matching, Pair

MOST_LINES = 50


@click.command("adopt")
@store_option
@click.option("--yes", is_flag=True, help="Adopt the certain pairs without asking.")
@click.option("--likely", is_flag=True, help="With --yes: adopt the likely pairs as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else; adopts with --yes.")
def adopt(store: Path | None, yes: bool, likely: bool, as_json: bool) -> int:
    """Manage samples that were made elsewhere.

    Pairs each unmanaged sample (made on the service's page, or by a script) with the local file it seems to be, by
    class, size and the file name in its uid, and prints the pairs. The file of a pair that you confirm is not uploaded
    again. No push removes such a sample, also when its file is removed, since the service may hold other bytes, of
    which there is no copy: astica-sync remove-sample removes it. Other unmanaged samples are never changed.

    \b
    astica-sync adopt
    astica-sync adopt --yes --likely
    """
    from astica_sync.api import Store

    with open_store(store, Progress()) as opened:
        api = Store.over(opened)
        matching = api.find_adoptable()
        if not as_json:
            print_lines(_lines(matching))
        wanted = [
            pair
            for certainty in (Certainty.CERTAIN, Certainty.LIKELY)
            for pair in _confirmed(matching, certainty, yes, likely, as_json)
        ]
        adopted = api.adopt(wanted)
    if as_json:
        click.echo(json_line({**_data(matching), "adopted": adopted}))
    elif matching.pairs:
        click.echo(f"Adopted {number(adopted, 'sample')}; the others stay unmanaged.")
        if not wanted and not sys.stdin.isatty():
            print_lines(["To adopt the certain pairs: astica-sync adopt --yes"])
    return 0


def _confirmed(matching: "Matching", certainty: Certainty, yes: bool, likely: bool, as_json: bool) -> "list[Pair]":
    pairs = [pair for pair in matching.pairs if pair.certainty is certainty]
    if not pairs:
        return []
    if yes:
        return pairs if certainty is Certainty.CERTAIN or likely else []
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return []
    kind = "certain" if certainty is Certainty.CERTAIN else "likely"
    question = f"Adopt the {number(len(pairs), f'{kind} pair')}?"
    return pairs if confirm(question) else []


def _lines(matching: "Matching") -> list[str]:
    if not (matching.pairs or matching.unmatched or matching.duplicates):
        return ["The service has no unmanaged samples."]
    pairs = [_pair_line(pair) for pair in matching.pairs]
    lines = first(pairs, len(pairs), MOST_LINES)
    if matching.duplicates:
        count = number(len(matching.duplicates), "image is", "images are")
        lines += [
            "",
            f"{count} on the service twice, as the store uploaded the file too: astica-sync remove-sample ID",
        ]
        doubles = [_pair_line(pair) for pair in matching.duplicates]
        lines += first(doubles, len(doubles), MOST_LINES)
    if matching.unmatched:
        lines += ["", f"Without a local copy ({len(matching.unmatched):,}); once removed, these cannot be restored:"]
        lost = [f"  {safe(one.class_title)}  #{one.sample_id} {safe(one.uid)}".rstrip() for one in matching.unmatched]
        lines += first(lost, len(lost), MOST_LINES)
    return lines if lines[0] else lines[1:]


def _pair_line(pair: "Pair") -> str:
    certainty = "certain" if pair.certainty is Certainty.CERTAIN else "likely "
    remote = f"#{pair.remote.sample_id} {safe(pair.remote.uid) or '(no uid)'}"
    return f"{certainty}  {remote} = {safe(pair.local.paths[0])}  ({pair.why})"


def _data(matching: "Matching") -> dict[str, Any]:
    return {
        "pairs": [_pair_data(pair) for pair in matching.pairs],
        "doubles": [_pair_data(pair) for pair in matching.duplicates],
        "unrecoverable": [
            {"class": one.class_title, "sample_id": one.sample_id, "uid": one.uid} for one in matching.unmatched
        ],
    }


def _pair_data(pair: "Pair") -> dict[str, Any]:
    return {
        "class": pair.local.class_title,
        "sample_id": pair.remote.sample_id,
        "uid": pair.remote.uid,
        "path": json_name(pair.local.paths[0]),
        "certain": pair.certainty is Certainty.CERTAIN,
        "why": pair.why,
    }
