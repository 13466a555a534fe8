"""Exports the samples of the store, and held-out images, in a layout that another program reads."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from astica_sync.core.exchange.dataset_row import Part
from astica_sync.core.model import LocalSample
from astica_sync.exchange.known_contents import list_titles
from astica_sync.exchange.layouts.find_layout import LAYOUTS
from astica_sync.exchange.layouts.writer import ExportSample
from astica_sync.exchange.sources.folder import FolderSource
from astica_sync.exchange.sources.source import MOST_BYTES, NotRead, read_bounded
from astica_sync.exchange.targets.archive_target import open_target
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import is_image
from astica_sync.local.scan.ignore import Ignore

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
    """How many samples were written, by part and class; ``left_out`` are those that were not, and why."""

    written: Counter[tuple[Part, str]] = field(default_factory=Counter)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    left_out_count: int = 0
    ended: bool = False


def run_export(
    root: Path,
    samples: Iterable[LocalSample],
    held_out: Path | None,
    request: ExportRequest,
    *,
    report: Callable[[int], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> ExportResult:
    """Writes all samples of the store at ``root``, and the images of the folder ``held_out``.

    Raises:
        AsticaSyncError: the target exists, or cannot be written.
    """
    folders = [root, *([held_out] if held_out else [])]
    titles = sorted({title for folder in folders for title in list_titles(folder)})
    titles = [title for title in titles if not request.classes or title in request.classes]
    target = open_target(request.target, into=request.into)
    result = ExportResult()
    try:
        writer = LAYOUTS[request.layout].write(target, titles)
        found = _of_store(root, samples, is_split=held_out is not None)
        both = found if held_out is None else _chain(found, _of_folder(held_out))
        for number, (sample, data) in enumerate(both, 1):
            if stopping():
                result.ended = True
                break
            if request.classes and sample.title not in request.classes:
                continue
            if isinstance(data, NotRead):
                result.left_out_count += 1
                if len(result.left_out) < MOST_NAMED:
                    result.left_out.append((sample.path, str(data)))
                continue
            writer.add(sample, data)
            result.written[sample.part, sample.title] += 1
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


def _chain(*found: Iterator[tuple[ExportSample, bytes | NotRead]]) -> Iterator[tuple[ExportSample, bytes | NotRead]]:
    for one in found:
        yield from one


def _of_store(
    root: Path, samples: Iterable[LocalSample], *, is_split: bool
) -> Iterator[tuple[ExportSample, bytes | NotRead]]:
    files = FileSystem(root)
    for local in samples:
        path = local.paths[0]
        content = local.uid.partition("-")[0]
        sample = ExportSample(_titled(path, local.class_title), local.class_title, content, Part.TRAIN, is_split)
        try:
            with files.open_read(root / path) as file:
                data = read_bounded(file, MOST_BYTES)
        except (OSError, NotRead) as error:
            reason = f"it cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            yield sample, NotRead(reason)
            continue
        if xxhash.xxh3_128_hexdigest(data) != content:
            yield sample, NotRead("it changed while the store was exported; run the command again")
        else:
            yield sample, data


def _of_folder(root: Path) -> Iterator[tuple[ExportSample, bytes | NotRead]]:
    source = FolderSource(root)
    ignore = Ignore.load(root)
    seen: set[tuple[str, str]] = set()
    for entry, data in source.stream(lambda entry: "/" in entry.path and not ignore.skips_below(entry.path)):
        title = class_title_of(entry.path.partition("/")[0])
        if title is None or (isinstance(data, bytes) and not is_image(data)):
            continue
        content = xxhash.xxh3_128_hexdigest(data) if isinstance(data, bytes) else ""
        if content and (title, content) in seen:
            continue
        seen.add((title, content))
        yield ExportSample(_titled(entry.path, title), title, content, Part.TEST, True), data


def _titled(path: str, title: str) -> str:
    """The path with the title in place of the name of its folder, which may be in another Unicode form."""
    return f"{title}/{path.partition('/')[2]}"
