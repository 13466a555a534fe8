"""``astica-sync detect``."""

import json
from pathlib import Path

import click

from astica_sync.cli.wiring import open_store, store_option
from astica_sync.cli.words import json_name, safe
from astica_sync.errors import AsticaSyncError
from astica_sync.sync.listener import Listener

SOME_FAILED = 3


@click.command("detect")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@store_option
@click.option("--version", "version", help="The model version to run; the latest when left out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each image.")
def detect(images: tuple[Path, ...], store: Path | None, version: str | None, as_json: bool) -> int:
    """Run the model on images: files, or folders of them.

    \b
    astica-sync detect new.jpg
    astica-sync detect held-out/ --json
    """
    from astica_sync.training.detect import detect_files, files_in
    from astica_sync.training.train import find_model

    files = files_in(images)
    failed = 0
    with open_store(store, Listener()) as opened:
        service, model_id = opened.parts.service, opened.parts.model_id
        chosen = version or find_model(service, model_id).version
        if not chosen:
            raise AsticaSyncError("the model has no version yet", "Run astica-sync train first.")
        for found in detect_files(service, model_id, chosen, files):
            failed += bool(found.error)
            if as_json:
                data = {
                    "path": json_name(str(found.path)),
                    "output": found.label or None,
                    "confidence": found.confidence if found.label else None,
                    "error": found.error or None,
                }
                click.echo(json.dumps(data, ensure_ascii=False))
            elif found.error:
                click.echo(f"{safe(str(found.path))}: {found.error}", err=True)
            else:
                click.echo(f"{safe(found.label):<20}  {found.confidence:5.1f} %  {safe(str(found.path))}")
    return SOME_FAILED if failed else 0
