"""``astica-sync prepare``."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.exit_codes import DONE, SOME_FAILED
from astica_sync.cli.open_store import store_option
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import json_line, json_name, safe
from astica_sync.errors import AsticaSyncError, ImageRejected

if TYPE_CHECKING:
    from astica_sync.local.image.decoder import Decoder
    from astica_sync.local.image.prepare.preparer import Preparer
    from astica_sync.local.layout import Layout


@click.command("prepare")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Write what would be sent to this folder.")
@click.option("--show", is_flag=True, help="Show format, pixels and size of each image before and after.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each image.")
@store_option
def prepare(images: tuple[Path, ...], to: Path | None, show: bool, as_json: bool, store: Path | None) -> int:
    """Show what a push would send of images.

    Images of formats that the service does not take, such as HEIC, are converted before they are sent; with max_side
    also PNG and JPEG above its limits. Sends nothing.
    Goes by the settings of the store that the command is run in, if there is one: convert, max_side, quality,
    background, frame and metadata.

    \b
    astica-sync prepare IMG_0007.HEIC
    astica-sync prepare --show Can/scan.tiff
    astica-sync prepare Can/*.tiff --to ../converted
    """
    from astica_sync.errors import StoreError
    from astica_sync.local.image.decoder import Decoder
    from astica_sync.local.image.prepare.preparer import Preparer
    from astica_sync.local.image.prepare.usable_formats import usable_recipe
    from astica_sync.open_session import find, settings_for

    layout = None
    if store is not None:
        layout = find(store)
    else:
        with contextlib.suppress(StoreError):
            layout = find(None)
    recipe = usable_recipe(settings_for(layout, offline=True).recipe)
    refused = False
    with Decoder() as decoder, Preparer(recipe) as preparer:
        for path in images:
            shown, sent = _look_at(path, decoder, preparer)
            beside = "" if layout is None or not shown.get("converted") else _find_beside(layout, path, shown)
            if beside:
                shown = {key: shown[key] for key in ("path", "format", "size")} | {
                    "reason": f"{beside} is beside it, and is sent in its place"
                }
                sent = None
            refused |= sent is None
            if to is not None and sent is not None:
                shown["written"] = json_name(str(_write(to, path, sent)))
            lines = _before_and_after if show else _lines
            print_lines([json_line(shown)] if as_json else lines(path, shown))
    return SOME_FAILED if refused else DONE


def _look_at(path: Path, decoder: "Decoder", preparer: "Preparer") -> tuple[dict[str, Any], bytes | None]:
    """What is said of an image, and what would be sent of it; None where nothing would be."""
    from astica_sync.core.recipe import OVERSIZED
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.image.format import dimensions, preparable, sniff
    from astica_sync.local.image.prepare.image_as_sent import check_as_sent

    files, notes = FileSystem(), tuple[str, ...]()
    shown: dict[str, Any] = {"path": json_name(str(path)), "format": None, "size": None}
    try:
        with files.open_read(path.absolute()) as file:
            data = b"".join(files.chunks(file))
    except OSError as error:
        return {**shown, "reason": f"cannot be read: {error.strerror}"}, None
    word = preparable(data)
    shown |= {"format": sniff(data) if word == OVERSIZED else word or sniff(data), "size": len(data)}
    try:
        if preparer.recipe.converts(word):
            prepared = preparer.prepare(data)
            sent, notes, sides = prepared.data, prepared.notes, prepared.source_sides
        else:
            sent = check_as_sent(decoder, preparer, data)
            sides = dimensions(sent) or (0, 0)
    except ImageRejected as error:
        return {**shown, "reason": str(error)}, None
    width, height = dimensions(sent) or (0, 0)
    as_sent = {"format": sniff(sent), "width": width, "height": height, "size": len(sent)}
    shown |= {"width": sides[0], "height": sides[1]}
    return {**shown, "sent": as_sent, "converted": sent is not data, "notes": list(notes)}, sent


def _find_beside(layout: "Layout", path: Path, shown: dict[str, Any]) -> str:
    """The name of the PNG or JPEG for which a push leaves out this image of the store; "" where it does not, as it has
    sent the image before the other was there."""
    from astica_sync.core.recipe import TAKEN_AS_THEY_ARE
    from astica_sync.local.db.index import Index
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.local.image.prepare.usable_formats import png_or_jpeg_beside

    place = path.parent.resolve() / path.name
    if shown["format"] in (*TAKEN_AS_THEY_ARE, "png", "jpeg") or not place.is_relative_to(layout.root):
        return ""
    beside = png_or_jpeg_beside(FileSystem(), str(place))
    if beside and layout.index_db.exists():
        with contextlib.closing(Index(layout.index_db)) as index:
            content, _ = index.file_at(str(place.relative_to(layout.root))) or (None, None)
        if content is not None:
            return ""
    return Path(beside).name if beside else ""


def _lines(path: Path, shown: dict[str, Any]) -> list[str]:
    if "reason" in shown:
        return [click.style(f"{safe(str(path))}: not sent: {safe(shown['reason'])}", fg="red")]
    sent = shown["sent"]
    result = f"{sent['width']} x {sent['height']}, {_in_words(sent['size'])}"
    if not shown["converted"]:
        lines = [f"{safe(str(path))}: {sent['format'].upper()}, sent as it is: {result}"]
    else:
        before = f"{_name(shown['format'])}, {_in_words(shown['size'])}"
        lines = [f"{safe(str(path))}: {before}, sent as {sent['format'].upper()}: {result}"]
        lines += [f"  {safe(note)}" for note in shown["notes"]]
    return lines + ([f"  written to {safe(shown['written'])}"] if "written" in shown else [])


def _before_and_after(path: Path, shown: dict[str, Any]) -> list[str]:
    if "reason" in shown:
        return _lines(path, shown)
    lines = [safe(str(path))]
    for title, image in (("before", shown), ("after", shown["sent"])):
        pixels = f"{image['width']} x {image['height']}"
        lines.append(f"  {title:<6}  {_name(image['format'])}, {pixels}, {_in_words(image['size'])}")
    changes = shown["notes"] if shown["converted"] else ["sent as it is"]
    lines += [f"  {safe(change)}" for change in changes]
    return lines + ([f"  written to {safe(shown['written'])}"] if "written" in shown else [])


def _name(image_format: str) -> str:
    from astica_sync.core.recipe import FORMAT_NAMES

    return FORMAT_NAMES.get(image_format, image_format.upper())


def _in_words(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{size / 1e3:.1f} kB"


def _write(folder: Path, image: Path, data: bytes) -> Path:
    """Writes what would be sent under the name of the image.

    Raises:
        AsticaSyncError: there is a file of that name, or the folder cannot be written.
    """
    from astica_sync.local.image.format import sniff
    from astica_sync.system.error_advice import remedy

    target = folder / f"{image.stem}.{'png' if sniff(data) == 'png' else 'jpg'}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise AsticaSyncError(f"{target} exists already", "Name another folder with --to.") from error
    except OSError as error:
        raise AsticaSyncError(f"{target} cannot be written: {error.strerror}", remedy(error, target)) from error
    return target
