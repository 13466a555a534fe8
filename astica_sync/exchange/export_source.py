"""What an export writes: the samples of a store and held-out images, with their bytes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import xxhash

from astica_sync.core.exchange.dataset_row import Part
from astica_sync.core.model import LocalSample, content_of
from astica_sync.errors import ImageRejected
from astica_sync.exchange.convert_exported import ConvertedNames, ExportConverter
from astica_sync.exchange.known_contents import list_titles
from astica_sync.exchange.layouts.writer import ExportSample
from astica_sync.exchange.sources.folder import FolderSource
from astica_sync.exchange.sources.source import MOST_BYTES, NotRead, read_bounded
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import is_image
from astica_sync.local.image.worker_pool import WORKERS
from astica_sync.local.scan.ignore import Ignore


class ExportImage(NamedTuple):
    """``data``: its bytes, or why there are none."""

    sample: ExportSample
    data: bytes | NotRead
    is_converted: bool = False


_Read = Callable[[], ExportImage]


@dataclass(frozen=True, slots=True)
class ExportSource:
    """The store at ``root`` and the folder ``held_out``. With a ``converter`` images are given as they are sent."""

    root: Path
    samples: Iterable[LocalSample]
    held_out: Path | None = None
    converter: ExportConverter | None = None

    def titles(self) -> list[str]:
        folders = [self.root, *([self.held_out] if self.held_out else [])]
        return sorted({title for folder in folders for title in list_titles(folder)})

    def images(self, classes: frozenset[str] = frozenset()) -> Iterator[ExportImage]:
        """Every image once; where there are ``classes``, those of these alone.

        Raises:
            AsticaSyncError: the folder of held-out images or the backup cannot be read.
        """
        if self.converter is None:
            for read in self._reads(classes):
                yield read()
            return
        waiting: deque[Future[ExportImage]] = deque()
        with ThreadPoolExecutor(WORKERS, "export") as pool:
            try:
                for read in self._reads(classes):
                    waiting.append(pool.submit(read))
                    if len(waiting) > WORKERS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for job in waiting:
                    job.cancel()

    def _reads(self, classes: frozenset[str]) -> Iterator[_Read]:
        files, names = FileSystem(self.root), ConvertedNames(self.root)
        for local in self.samples:
            if not classes or local.class_title in classes:
                yield partial(self._read_sample, files, names, local)
        if self.held_out is not None:
            yield from self._reads_held_out(self.held_out, classes)

    def _read_sample(self, files: FileSystem, names: ConvertedNames, local: LocalSample) -> ExportImage:
        path, title, content = local.paths[0], local.class_title, content_of(local.uid)
        sample = ExportSample(_titled(path, title), title, content, Part.TRAIN, self.held_out is not None)
        if self.converter is not None and (sent := self.converter.find_sent(content)) is not None:
            return _renamed(sample, names, path, sent)
        try:
            with files.open_read(self.root / path) as file:
                data = read_bounded(file, MOST_BYTES)
        except OSError as error:
            return ExportImage(sample, NotRead(f"it cannot be read: {error.strerror}"))
        except NotRead as reason:
            return ExportImage(sample, reason)
        if xxhash.xxh3_128_hexdigest(data) != content:
            return ExportImage(sample, NotRead("it changed while the store was exported; run the command again"))
        return self._convert(sample, names, path, data)

    def _reads_held_out(self, root: Path, classes: frozenset[str]) -> Iterator[_Read]:
        source, ignore = FolderSource(root), Ignore.load(root)
        names = ConvertedNames(root.resolve())
        seen: set[tuple[str, str]] = set()
        for entry, data in source.stream(lambda entry: "/" in entry.path and not ignore.skips_below(entry.path)):
            title = class_title_of(entry.path.partition("/")[0])
            if title is None or (classes and title not in classes) or (isinstance(data, bytes) and not is_image(data)):
                continue
            content = xxhash.xxh3_128_hexdigest(data) if isinstance(data, bytes) else ""
            if content and (title, content) in seen:
                continue
            seen.add((title, content))
            sample = ExportSample(_titled(entry.path, title), title, content, Part.TEST, True)
            yield partial(self._convert, sample, names, entry.path, data)

    def _convert(self, sample: ExportSample, names: ConvertedNames, path: str, data: bytes | NotRead) -> ExportImage:
        if self.converter is None or isinstance(data, NotRead):
            return ExportImage(sample, data)
        try:
            sent = self.converter.convert(sample.content, data)
        except ImageRejected as error:
            return ExportImage(sample, NotRead(str(error)))
        return ExportImage(sample, data) if sent is data else _renamed(sample, names, path, sent)


def _renamed(sample: ExportSample, names: ConvertedNames, path: str, sent: bytes) -> ExportImage:
    new = names.path_of(path, sample.content, sent)
    return ExportImage(replace(sample, path=_titled(new, sample.title)), sent, is_converted=True)


def _titled(path: str, title: str) -> str:
    """The path with the title in place of the name of its folder, which may be in another Unicode form."""
    return f"{title}/{path.partition('/')[2]}"
