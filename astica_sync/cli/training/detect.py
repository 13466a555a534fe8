"""``astica-sync detect``."""

import sys
from pathlib import Path

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.exit_codes import DONE, SOME_FAILED
from astica_sync.cli.render.text import csv_line, json_line, json_name, number, safe
from astica_sync.cli.render.waits import Waits


@click.command("detect")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@store_option
@click.option("--version", "version", help="The version to run; by default the latest.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each image.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header.")
def detect(images: tuple[str, ...], store: Path | None, version: str | None, as_json: bool, as_csv: bool) -> int:
    """Run the model on images.

    IMAGE is a file, a folder, a pattern, or - for one image on standard input. Answers are cached: an interrupted run
    continues where it stopped, and a repeated one sends no request.

    \b
    astica-sync detect new.jpg
    astica-sync detect held-out/ --json
    curl -s https://example.org/can.jpg | astica-sync detect -
    """
    from astica_sync.api import Store
    from astica_sync.training.detect import find_inputs

    if as_json and as_csv:
        raise click.UsageError("Give either --json or --csv.")
    inputs = find_inputs(images, sys.stdin.buffer.read)
    failed = 0
    if as_csv:
        click.echo(csv_line("path", "output", "confidence", "error"))
    with open_store(store, Waits()) as opened:
        for detected in Store.over(opened).detect_inputs(inputs, version):
            failed += bool(detected.error)
            confidence = None if detected.error else detected.confidence
            if as_json:
                data = {
                    "path": json_name(detected.name),
                    "output": detected.label if not detected.error else None,
                    "confidence": confidence,
                    "error": detected.error or None,
                }
                click.echo(json_line(data))
            elif as_csv:
                click.echo(csv_line(json_name(detected.name), detected.label, confidence, detected.error))
            elif detected.error:
                click.echo(f"{safe(detected.name)}: {safe(detected.error)}", err=True)
            else:
                click.echo(f"{safe(detected.label):<20}  {detected.confidence:5.1f} %  {safe(detected.name)}")
    if failed:
        click.echo(f"{number(failed, 'image')} failed", err=True)
    return SOME_FAILED if failed else DONE
