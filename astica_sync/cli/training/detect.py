"""``astica-sync detect``."""

import csv
import io
import json
import sys
from pathlib import Path

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.render.text import json_name, number, safe
from astica_sync.cli.render.waits import Waits

SOME_FAILED = 3


@click.command("detect")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@store_option
@click.option("--version", "version", help="The model version to run; the latest when left out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each image.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header.")
def detect(images: tuple[str, ...], store: Path | None, version: str | None, as_json: bool, as_csv: bool) -> int:
    """Run the model on images: files, folders of them, patterns, or - for one image on standard input.

    What was answered once is kept, so that an interrupted run goes on where it was and a repeat is free.

    \b
    astica-sync detect new.jpg
    astica-sync detect held-out/ --json
    curl -s https://example.org/can.jpg | astica-sync detect -
    """
    from astica_sync.api import Store
    from astica_sync.training.detect import inputs_in

    if as_json and as_csv:
        raise click.UsageError("Give either --json or --csv.")
    inputs = inputs_in(images, sys.stdin.buffer.read)
    failed = asked = 0
    if as_csv:
        click.echo(_csv("path", "output", "confidence", "error"))
    with open_store(store, Waits()) as opened:
        for found in Store.over(opened).detect_inputs(inputs, version):
            failed += bool(found.error)
            asked += not (found.cached or found.error)
            confidence = None if found.error else found.confidence
            if as_json:
                data = {
                    "path": json_name(found.name),
                    "output": found.label if not found.error else None,
                    "confidence": confidence,
                    "error": found.error or None,
                }
                click.echo(json.dumps(data, ensure_ascii=False))
            elif as_csv:
                click.echo(_csv(json_name(found.name), found.label, confidence, found.error))
            elif found.error:
                click.echo(f"{safe(found.name)}: {found.error}", err=True)
            else:
                click.echo(f"{safe(found.label):<20}  {found.confidence:5.1f} %  {safe(found.name)}")
    if failed:
        click.echo(f"{number(failed, 'image')} could not be looked at", err=True)
    return SOME_FAILED if failed else 0


def _csv(*cells: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
