"""``astica-sync detect``."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import DONE, SOME_FAILED
from astica_sync.cli.open_store import open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import csv_line, display_width, json_line, json_name, number, safe
from astica_sync.core.evaluation.percent_text import percent

if TYPE_CHECKING:
    from astica_sync.training.detect import DetectionResult

SHORTEST_COLUMN = 20


@click.command("detect")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@store_option
@click.option("--version", "version", help="The version to run; by default the latest.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each image.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header.")
def detect(images: tuple[str, ...], store: Path | None, version: str | None, as_json: bool, as_csv: bool) -> int:
    """Run the model on images.

    IMAGE is a file, a folder, a pattern, an https address, or - for one image on standard input. Answers are cached: an
    interrupted run continues where it stopped, and a repeated one sends no request.

    \b
    astica-sync detect new.jpg
    astica-sync detect held-out/ --json
    astica-sync detect https://example.org/can.jpg
    """
    from astica_sync.api import Store
    from astica_sync.cli.training.unsupported_files import print_unsupported
    from astica_sync.training.evaluation.metrics import NO_ANSWER
    from astica_sync.training.find_images import find_inputs, list_unsupported

    if as_json and as_csv:
        raise click.UsageError("Give either --json or --csv.")
    failed = unanswered = 0
    if as_csv:
        _print_csv("path", "output", "confidence", "error")
    width = SHORTEST_COLUMN
    with open_store(store, Progress()) as opened:
        formats = opened.session.local.preparer.recipe.formats
        inputs = find_inputs(images, sys.stdin.buffer.read, formats)
        folders = [Path(name) for name in images if Path(name).is_dir()]
        left_out = [file for folder in folders for file in list_unsupported(folder, formats)]
        if not as_json and not as_csv:
            width = _label_width(opened.layout.root)
        for detected in Store.over(opened).detect_inputs(inputs, version):
            failed += bool(detected.error)
            unanswered += not detected.error and not detected.label
            if as_json:
                data = {
                    "path": json_name(detected.name),
                    "output": detected.label or None,
                    "confidence": detected.confidence,
                    "error": detected.error or None,
                }
                click.echo(json_line(data))
            elif as_csv:
                _print_csv(json_name(detected.name), detected.label, detected.confidence, detected.error)
            elif detected.error:
                print_lines([f"{safe(detected.name)}: {safe(detected.error)}"], err=True)
            else:
                label = safe(detected.label) or NO_ANSWER
                # A class of the version may be longer than those of the store.
                width = max(width, display_width(label))
                padding = " " * (width - display_width(label))
                print_lines([f"{label}{padding}  {_confidence(detected)}  {safe(detected.name)}"])
    if as_json:
        for file in left_out:
            click.echo(json_line({"path": json_name(str(file.path)), "unsupported": file.format}))
    print_unsupported(left_out, "detect", as_json=as_json)
    if unanswered:
        print_lines([f"{number(unanswered, 'image')}: the service answered without a class"], err=True)
    if failed:
        click.echo(f"{number(failed, 'image')} failed", err=True)
    return SOME_FAILED if failed else DONE


def _print_csv(*cells: object) -> None:
    """Prints a line in UTF-8, whatever the locale is: the format has no escapes."""
    click.echo(csv_line(*cells).encode("utf-8", "backslashreplace"))


def _label_width(root: Path) -> int:
    """The width of the longest class folder of the store, so that the columns after the class are aligned."""
    titles: list[str] = []
    with contextlib.suppress(OSError):
        titles = [safe(path.name) for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return max([SHORTEST_COLUMN, *map(display_width, titles)])


def _confidence(detected: "DetectionResult") -> str:
    """In percent; as the service wrote it where its answers so far do not show the unit."""
    if detected.confidence is not None:
        return f"{percent(detected.confidence / 100):>7}"
    return f"{'-':>7}" if detected.stated is None else f"{detected.stated.value:g} (unit not known)"
