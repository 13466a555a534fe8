"""``astica-sync import``."""

from pathlib import Path

import click

from astica_sync.cli.exit_codes import DONE, INTERRUPTED, REFUSED, SOME_FAILED
from astica_sync.cli.open_store import find, open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines, terminal_width
from astica_sync.cli.render.text import json_line

LAYOUT_NAMES = (
    "imagefolder",
    "huggingface",
    "parquet",
    "csv",
    "jsonl",
    "webdataset",
    "label-studio",
    "coco",
    "yolo",
    "roboflow",
)


TABLE_LAYOUTS = ("csv", "jsonl")


@click.command("import")
@click.argument("source")
@store_option
@click.option("--dry-run", is_flag=True, help="Read everything and show what would be imported; write nothing.")
@click.option(
    "--map", "pairs", multiple=True, metavar="LABEL=CLASS", help="The class of a label; LABEL= leaves it out."
)
@click.option(
    "--map-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The same, one in each line."
)
@click.option("--ignore-case", is_flag=True, help="Labels that differ only in case are one class.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=COLUMN",
    help="Which column of a table is the path, label or split, as label=Klasse; split= for none.",
)
@click.option("--split", "split_mode", type=click.Choice(["keep", "merge"]), help="Whether test images stay apart.")
@click.option(
    "--held-out", type=click.Path(path_type=Path, file_okay=False), help="The folder for validation and test images."
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUT_NAMES),
    metavar="NAME",
    help=f"The layout, where it is not found out: {', '.join(LAYOUT_NAMES)}.",
)
@click.option("--new-class", multiple=True, metavar="CLASS", help="A new class that is meant as it is spelled.")
@click.option("--several-classes", is_flag=True, help="Import an image in each class that it has.")
@click.option("--encoding", metavar="NAME", help="The code page of names in an old zip archive, such as cp932.")
@click.option("--yes", is_flag=True, help="Take all new classes as they are spelled.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def import_data(
    source: str,
    store: Path | None,
    dry_run: bool,
    pairs: tuple[str, ...],
    map_file: Path | None,
    ignore_case: bool,
    columns: tuple[str, ...],
    split_mode: str | None,
    held_out: Path | None,
    layout: str | None,
    new_class: tuple[str, ...],
    several_classes: bool,
    encoding: str | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Import a data set into the class folders. SOURCE is a folder, a table of labels (csv, tsv, jsonl) in one, an
    archive (zip, tar, tar.gz), or a bucket or an archive in one.

    Nothing is overwritten, and an image that the store has already is not written again: the same command completes an
    import that was interrupted. What split has held out is left out. Nothing is sent before the next push.

    \b
    astica-sync import dataset.zip --dry-run
    astica-sync import dataset.zip --map "dog=Dog"
    astica-sync import photos --column label=Klasse
    astica-sync import photos/labels.csv
    astica-sync import d.zip --split keep --held-out ../held
    astica-sync import s3://bucket/photos
    astica-sync import s3://bucket/data/photos.zip
    """
    from astica_sync.bucket.source_binding import refuse_in_bucket
    from astica_sync.cli.exchange.exchange_output import import_data_of, import_lines
    from astica_sync.core.exchange.import_plan import SplitMode
    from astica_sync.exchange.import_run import ImportRequest, run_import
    from astica_sync.exchange.import_setup import choose_mode, lock_and_scan, open_targets
    from astica_sync.exchange.known_contents import held_contents
    from astica_sync.exchange.layouts.find_layout import find_layout
    from astica_sync.exchange.layouts.path_table import HOW
    from astica_sync.exchange.sources.open_source import open_source

    refuse_in_bucket(
        find(store), "an import writes files into class folders", "Import into an empty folder, then put that there."
    )
    mapping = _mapping(pairs, map_file)
    layout = _layout_of(source, layout)
    chosen = _columns(columns, layout)
    _check_encoding(encoding)
    progress = Progress()
    with (
        open_store(store, progress, offline=True) as opened,
        open_source(source, encoding) as files,
        lock_and_scan(opened.session.local, opened.session.runtime.clock, progress.scanned, dry_run=dry_run),
    ):
        progress.phase("reading the list of files")
        unused: list[tuple[str, str]] = []
        name, data_set = find_layout(files, layout, lambda path, reason: unused.append((path, reason)), chosen)
        wanted = SplitMode(split_mode) if split_mode else None
        # A dry run shows all of it before it asks.
        mode = choose_mode(data_set, wanted or (SplitMode.MERGE if dry_run and held_out is None else None), held_out)
        if not as_json:
            progress.note(f"{source}: {data_set.found}, read as {name}")
            for path, reason in unused:
                progress.note(f"The table {path} is not used: {reason}. {HOW}")
        root = opened.layout.root
        targets = open_targets(root, opened.session.local.index, held_out, mode, dry_run=dry_run)
        held = held_contents(opened.session.local.journal)
        request = ImportRequest(
            mapping,
            mode,
            several_classes,
            new_class,
            yes,
            dry_run,
            held,
            ignore_case,
            opened.session.local.preparer.recipe.formats,
        )
        progress.phase("importing")
        result = run_import(
            data_set,
            targets,
            request,
            report=lambda read: progress.phase(f"importing, {read:,} read"),
            stopping=opened.session.runtime.stopping,
        )
        if files.ended_early:
            result.leave_out(source, files.ended_early)
        progress.phase_ended()
    if as_json:
        click.echo(json_line(import_data_of(result, source, name, data_set.found, unused, dry_run=dry_run)))
    else:
        print_lines(import_lines(result, dry_run=dry_run, room=terminal_width()))
    if result.ended:
        return INTERRUPTED
    choose_mode(data_set, wanted, held_out)
    if result.asks:
        return REFUSED
    return SOME_FAILED if result.left_out_count else DONE


def _mapping(pairs: tuple[str, ...], map_file: Path | None) -> dict[str, str]:
    from astica_sync.core.exchange.label_map import parse_map
    from astica_sync.exchange.layouts.text_table import decode_text
    from astica_sync.exchange.sources.source import MOST_TABLE

    lines = list(pairs)
    if map_file is not None:
        with map_file.open("rb") as file:
            lines = [*decode_text(file.read(MOST_TABLE)).splitlines(), *lines]
    try:
        return parse_map(lines)
    except ValueError as error:
        raise click.UsageError(f"--map: {error}") from error


def _layout_of(source: str, layout: str | None) -> str | None:
    """The layout that is asked for: a table is the source of its own rows alone."""
    from astica_sync.exchange.sources.open_source import is_table

    if not is_table(source) or "://" in source or Path(source).is_dir():
        return layout
    if layout not in (None, *TABLE_LAYOUTS):
        raise click.UsageError(f"{source} is a table of labels, and --layout {layout} reads none: name its folder")
    return layout or ("csv" if source.casefold().endswith(("csv", "tsv")) else "jsonl")


def _columns(pairs: tuple[str, ...], layout: str | None) -> dict[str, str]:
    from astica_sync.exchange.layouts.path_table import parse_columns

    if pairs and layout not in (None, *TABLE_LAYOUTS):
        raise click.UsageError(f"--column is for a table of labels, and --layout {layout} reads none")
    try:
        return parse_columns(pairs)
    except ValueError as error:
        raise click.UsageError(f"--column: {error}") from error


def _check_encoding(encoding: str | None) -> None:
    import codecs

    try:
        if encoding is not None:
            codecs.lookup(encoding)
    except LookupError as error:
        raise click.UsageError(f"--encoding: {error}") from error
