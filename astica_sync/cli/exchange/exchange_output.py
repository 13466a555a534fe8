"""What an import and an export print, as text and as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astica_sync.cli.render.text import first, json_name, number, safe, table
from astica_sync.core.exchange.import_plan import ImportFolder
from astica_sync.exchange.label_spellings import differ_in_case_only
from astica_sync.shell_quote import quote

if TYPE_CHECKING:
    from astica_sync.exchange.export_run import ExportResult
    from astica_sync.exchange.import_run import ImportResult


def import_lines(result: "ImportResult", *, dry_run: bool, room: int | None = None) -> Iterator[str]:
    """``room`` is the width of the terminal, into which the table is cut."""
    titles = sorted({title for _, title in result.imported})
    held_out = any(target is ImportFolder.HELD_OUT for target, _ in result.imported)
    if titles:
        rows = [["class", "store", *(["held-out"] if held_out else [])]]
        for title in titles:
            counts = [f"{result.imported[target, title]:,}" for target in ImportFolder]
            rows.append([safe(title), *counts[: 1 + held_out]])
        yield from first(table(rows, right=(1, 2), room=room), len(rows), 40)
    count = result.imported.total()
    if dry_run and result.asks:
        yield f"Would import {number(count, 'image')} after the answer about new classes below, and nothing before."
    else:
        yield f"{'Would import' if dry_run else 'Imported'} {number(count, 'image')}."
    if result.parts.keys() - {""}:
        named = ", ".join(f"{part or 'no part'} {count:,}" for part, count in sorted(result.parts.items()))
        yield f"Parts of the data set: {named}."
    if duplicates := result.duplicates.total():
        yield f"Already there: {number(duplicates, 'image')}."
    for name, amount in sorted(result.unsupported.items()):
        them = "it as a problem" if amount == 1 else "them as problems"
        yield f"The service does not take {number(amount, name)}: status lists {them}."
    if result.unwanted:
        yield f"Left out by --map: {number(result.unwanted, 'image')}."
    yield from _label_lines(result)
    if result.left_out_count:
        yield f"Left out: {number(result.left_out_count, 'image')}:"
        for reason, amount in first_reasons(result.reasons):
            yield f"  {amount:>6,}  {safe(reason)}"
        yield from first(
            (f"    {safe(path)}: {safe(reason)}" for path, reason in result.left_out), result.left_out_count
        )
    if result.ended:
        yield "Interrupted. The same command continues."
    elif count and not dry_run:
        yield "To send them to the service: astica-sync push"
    elif dry_run:
        yield "Nothing was written (--dry-run)."


def first_reasons(reasons: Counter[str]) -> list[tuple[str, int]]:
    return sorted(reasons.most_common(10), key=lambda one: (-one[1], one[0]))


def _label_lines(result: "ImportResult") -> Iterator[str]:
    for near in result.table.near:
        yield (
            f"New class {safe(near.title)}: did you mean {safe(near.existing)}? "
            f"--map {quote(f'{near.title}={near.existing}', always=True)}, or "
            f"--new-class {quote(near.title, always=True)}"
        )
    if any(map(differ_in_case_only, result.table.near)):
        yield "To take labels that differ only in case as one class: --ignore-case"
    if folders := result.by_camera:
        shown = ", ".join(map(safe, folders[:3])) + (" …" if len(folders) > 3 else "")
        yield (
            f"Classes named by a camera or by date: {shown}. To name them: "
            f"--map {quote(f'{folders[0]}=CLASS', always=True)}"
        )
    if numbers := result.table.numbers:
        shown = ", ".join(numbers[:10]) + (", …" if len(numbers) > 10 else "")
        yield f"Labels that are numbers: {shown}. To name them: --map {quote(f'{numbers[0]}=NAME', always=True)}"
    if unused := result.table.unused:
        shown = ", ".join(map(safe, unused[:10]))
        yield f"--map names labels that the data set does not have: {shown}"


def import_data_of(
    result: "ImportResult", source: str, layout: str, found: str, unused: Sequence[tuple[str, str]], *, dry_run: bool
) -> dict[str, Any]:
    """The object of ``import --json``. ``unused`` are tables of labels that are not used, each with the reason."""
    titles = sorted({title for _, title in result.imported})
    return {
        "source": json_name(source),
        "layout": layout,
        "found": found,
        "dry_run": dry_run,
        "classes": [
            {
                "class": json_name(title),
                "store": result.imported[ImportFolder.STORE, title],
                "held_out": result.imported[ImportFolder.HELD_OUT, title],
            }
            for title in titles
        ],
        "parts": {part or "none": count for part, count in sorted(result.parts.items())},
        "imported": result.imported.total(),
        "duplicates": result.duplicates.total(),
        "unsupported": dict(sorted(result.unsupported.items())),
        "left_out_by_map": result.unwanted,
        "left_out": result.left_out_count,
        "reasons": {json_name(reason): count for reason, count in result.reasons.most_common(100)},
        "problems": [{"path": json_name(path), "reason": json_name(reason)} for path, reason in result.left_out],
        "near": [{"label": json_name(one.title), "existing": json_name(one.existing)} for one in result.table.near],
        "unused_tables": [{"path": json_name(path), "reason": json_name(reason)} for path, reason in unused],
        "numeric_labels": list(map(json_name, result.table.numbers)),
        "unused_labels": list(map(json_name, result.table.unused)),
        "interrupted": result.ended,
    }


def export_lines(result: "ExportResult", target: Path, layout: str) -> Iterator[str]:
    for title, count in sorted(_by_class(result).items()):
        yield f"{count:>8}  {safe(title)}"
    if result.ended:
        yield "Interrupted: what is in the folder is not whole. The same command with --into completes it."
        return
    yield f"Exported {number(result.written.total(), 'image')} to {safe(str(target))} as {layout}."
    if result.converted:
        yield f"Converted, as they are sent: {number(result.converted, 'image')}."
    if result.other_formats:
        yield (
            f"In a format other than PNG and JPEG: {number(result.other_formats, 'image')}. To export what is sent in "
            f"{'its' if result.other_formats == 1 else 'their'} place: --converted"
        )
    if result.left_out_count:
        yield f"Left out: {number(result.left_out_count, 'image')}:"
        yield from first((f"  {safe(path)}: {safe(reason)}" for path, reason in result.left_out), result.left_out_count)


def _by_class(result: "ExportResult") -> Counter[str]:
    counts: Counter[str] = Counter()
    for (_, title), count in result.written.items():
        counts[title] += count
    return counts


def export_data_of(result: "ExportResult", target: Path, layout: str) -> dict[str, Any]:
    """The object of ``export --json``."""
    parts: Counter[str] = Counter()
    for (part, _), count in result.written.items():
        parts[str(part)] += count
    return {
        "target": json_name(str(target)),
        "format": layout,
        "classes": [{"class": json_name(title), "images": count} for title, count in sorted(_by_class(result).items())],
        "parts": dict(sorted(parts.items())),
        "exported": result.written.total(),
        "converted": result.converted,
        "other_formats": result.other_formats,
        "left_out": result.left_out_count,
        "problems": [{"path": json_name(path), "reason": json_name(reason)} for path, reason in result.left_out],
        "interrupted": result.ended,
    }
