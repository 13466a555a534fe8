"""Exports the samples of the store, and held-out images, in a layout that another program reads."""

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.core.exchange.dataset_row import Part
from astica_sync.exchange.export_source import ExportImage, ExportSource
from astica_sync.exchange.layouts.find_layout import LAYOUTS
from astica_sync.exchange.layouts.writer import Writer
from astica_sync.exchange.sources.source import NotRead
from astica_sync.exchange.targets.archive_target import open_target
from astica_sync.local.image.format import sniff

MOST_NAMED = 10_000


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """``layout`` is a name of ``LAYOUTS``; ``into``: the target may have files. ``classes`` are those that are
    exported, all where there are none."""

    target: Path
    layout: str
    into: bool = False
    classes: frozenset[str] = frozenset()


@dataclass(slots=True)
class ExportResult:
    """How many samples were written, by part and class; ``left_out`` are those that were not, and why. ``converted`` of
    the written ones are what is sent in place of the image; ``other_formats`` are neither PNG nor JPEG."""

    written: Counter[tuple[Part, str]] = field(default_factory=Counter)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    left_out_count: int = 0
    converted: int = 0
    other_formats: int = 0
    ended: bool = False


def run_export(
    source: ExportSource,
    request: ExportRequest,
    *,
    report: Callable[[int], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> ExportResult:
    """Writes all images of the source.

    Raises:
        AsticaSyncError: the target exists, or cannot be written.
    """
    titles = [title for title in source.titles() if not request.classes or title in request.classes]
    target = open_target(request.target, into=request.into)
    result = ExportResult()
    try:
        writer = LAYOUTS[request.layout].write(target, titles)
        for number, image in enumerate(source.images(request.classes), 1):
            if stopping():
                result.ended = True
                break
            _write(writer, image, result)
            if number % 200 == 0:
                report(number)
        writer.finish()
    except BaseException:
        with contextlib.suppress(OSError):
            target.abandon()
        raise
    if result.ended:
        target.abandon()
    else:
        target.close()
    return result


def _write(writer: Writer, image: ExportImage, result: ExportResult) -> None:
    sample, data = image.sample, image.data
    if isinstance(data, NotRead):
        result.left_out_count += 1
        if len(result.left_out) < MOST_NAMED:
            result.left_out.append((sample.path, str(data)))
        return
    writer.add(sample, data)
    result.written[sample.part, sample.title] += 1
    result.converted += image.is_converted
    result.other_formats += sniff(data) is None
