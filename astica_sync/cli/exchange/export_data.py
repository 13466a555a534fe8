"""``astica-sync export``."""

from pathlib import Path

import click

from astica_sync.cli.exchange.import_data import LAYOUT_NAMES
from astica_sync.cli.exit_codes import DONE, INTERRUPTED, SOME_FAILED
from astica_sync.cli.open_store import open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import json_line
from astica_sync.shell_quote import quote_path


@click.command("export")
@click.argument("target", type=click.Path(path_type=Path))
@store_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(LAYOUT_NAMES),
    metavar="NAME",
    required=True,
    help=f"The layout to write: {', '.join(LAYOUT_NAMES)}.",
)
@click.option(
    "--held-out", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Images for the part 'test'."
)
@click.option("--class", "classes", multiple=True, metavar="CLASS", help="Only this class; may be given several times.")
@click.option(
    "--converted",
    is_flag=True,
    help="Write images of formats such as HEIC as they are sent, as PNG or JPEG; without it originals are written.",
)
@click.option("--into", is_flag=True, help="Add to a folder that has files; none is overwritten.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def export_data(
    target: Path,
    store: Path | None,
    layout: str,
    held_out: Path | None,
    classes: tuple[str, ...],
    converted: bool,
    into: bool,
    as_json: bool,
) -> int:
    """Export the samples of the store for another program. TARGET is a new folder, or an archive (.zip, .tar, .tar.gz).

    Each sample is written once, byte for byte, or as it is sent with --converted. The store is not changed, and nothing
    is sent.

    \b
    astica-sync export ../exported --format huggingface
    astica-sync export ../e.zip --format imagefolder
    astica-sync export ../e.zip --held-out ../held-out
    astica-sync export ../exported --format coco --converted
    """
    from astica_sync.bucket.source_binding import refuse_in_bucket
    from astica_sync.cli.exchange.exchange_output import export_data_of, export_lines
    from astica_sync.errors import AsticaSyncError
    from astica_sync.exchange.convert_exported import ExportConverter
    from astica_sync.exchange.export_run import ExportRequest, run_export
    from astica_sync.exchange.export_source import ExportSource
    from astica_sync.exchange.import_setup import lock_and_scan, refuse_overlap
    from astica_sync.exchange.targets.archive_target import is_archive, without_ending

    if layout in ("webdataset",) and is_archive(target):
        folder = quote_path(without_ending(target))
        raise AsticaSyncError("webdataset has archives of its own", f"Name a folder: {folder}")
    progress = Progress()
    with open_store(store, progress, offline=True) as opened:
        session = opened.session
        refuse_in_bucket(
            opened.layout,
            "an export reads files of a folder",
            "What was uploaded: astica-sync backup restore --to FOLDER. The bucket itself is as ImageFolder has it.",
        )
        refuse_overlap(target, opened.layout.root)
        with lock_and_scan(session.local, session.runtime.clock, progress.scanned, dry_run=True):
            progress.phase("exporting")
            local, converter = session.local, None
            if converted:
                converter = ExportConverter(local.index.prepared(), local.backup.prepared, local.preparer)
            samples = local.index.local_samples(session.remote.model_id)
            result = run_export(
                ExportSource(opened.layout.root, samples, held_out, converter),
                ExportRequest(target, layout, into, frozenset(classes)),
                report=lambda written: progress.phase(f"exporting, {written:,} written"),
                stopping=session.runtime.stopping,
            )
        progress.phase_ended()
    if as_json:
        click.echo(json_line(export_data_of(result, target, layout)))
    else:
        print_lines(export_lines(result, target, layout))
    if result.ended:
        return INTERRUPTED
    return SOME_FAILED if result.left_out_count else DONE
