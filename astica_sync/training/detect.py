"""Runs a version on images: concurrently within the budget, results in order, each content at most once."""

import contextlib
import errno
import glob
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.core.versions.confidence import Confidence, ConfidenceRange, Unit
from astica_sync.core.versions.version import VersionKey
from astica_sync.errors import AsticaSyncError, ImageRejected, Interrupted, Refused, RemoteError
from astica_sync.local.db.detections import CachedAnswer, Detections, hash_bytes
from astica_sync.local.filesystem import FileSystem, Kind, kind_of
from astica_sync.local.image.format import HEAD_BYTES, MAX_BYTES, describe, judge_bytes, sniff
from astica_sync.local.layout import IGNORE_FILE
from astica_sync.local.scan.ignore import Ignore, is_hidden
from astica_sync.local.scan.litter import is_litter
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.remote.responses import Detection
from astica_sync.system.open_below import link_refused
from astica_sync.training.image_download import check_image_address, download_image, is_address

WORKERS = 12
SUFFIXES = (".jpg", ".jpeg", ".png")
TEXTS = ("text file", "web page")
"""What ``describe`` calls text."""
STDIN = "-"
REFUSALS_BEFORE_END = 3
"""After so many refusals and no answer the version is at fault, and not the images."""

_ABOUT_VERSION = re.compile(r"\b(version|model)s?\b", re.IGNORECASE)


class VersionRefused(AsticaSyncError):
    """The service does not run this version: it is gone, or never existed."""


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The answer of a version for one image.

    ``label`` is "" where the answer names no class. ``confidence`` is in percent, None where the answer has none or its
    unit is not known; ``stated`` is the confidence as the service wrote it. ``cached`` is True if no request was
    needed, and ``error`` is the reason why there is no answer at all.
    """

    name: str
    content: str = ""
    label: str = ""
    confidence: float | None = None
    stated: Confidence | None = None
    error: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image to run a version on: a file, or bytes from another source under a name. Without a source, the name is
    an address, which is read when it is needed.

    What was found in the folder ``inside`` is read only if no part of its path below that folder is a link: a
    downloaded folder chooses no other file. A file that the user named may be a link.
    """

    name: str
    source: Path | bytes | None
    inside: Path | None = None

    def read(self) -> tuple[int, bytes]:
        """The size, and the bytes; none where they are too many to be sent.

        Raises:
            OSError: it cannot be read.
        """
        if self.source is None:
            return download_image(self.name)
        return (len(self.source), self.source) if isinstance(self.source, bytes) else _read(self.source, self.inside)


@dataclass(frozen=True, slots=True)
class _Request:
    """A detection that was handed to the thread pool; several images of the same bytes share one ``future``."""

    name: str
    content: str
    future: Future[Detection]


@dataclass(slots=True)
class Detector:
    """One version of a model, ready to run.

    ``key`` tells the version from every other one; without it nothing is cached. ``version_exists`` is True if the
    version is known to exist, so that a refusal is about the image. ``check`` returns why the bytes are no good image,
    or None. ``stopping`` returns True after the user has interrupted the program. ``confidences`` is the range of what
    the version has answered.
    """

    service: RateLimitedClient
    cache: Detections
    model_id: int
    version: str
    key: VersionKey | None
    version_exists: bool
    check: Callable[[bytes], str | None]
    stopping: Callable[[], bool]
    confidences: ConfidenceRange = field(default_factory=ConfidenceRange)
    _answered: bool = False
    _refusals: int = 0
    _kept: set[str] = field(default_factory=set)
    _unit: Unit = Unit.UNKNOWN

    def run(self, inputs: Iterable[ImageInput]) -> Iterator[DetectionResult]:
        """Runs the version on each image and yields the results in the order of the images, failures included.

        Answers are cached immediately, and requests under way are waited for when the run is stopped, so it can be
        repeated without repeating its requests. Until the version has answered once, images are sent one by one.

        Raises:
            VersionRefused: the service does not run this version.
            RemoteError: the service cannot be reached, or refuses the key.
            Interrupted: the user interrupted the program.
        """
        if self.key is not None:
            self.confidences = self.cache.confidence_range(self.key)
        self._unit = Unit.UNKNOWN
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="detect")
        queue: deque[DetectionResult | _Request] = deque()
        asked: dict[str, Future[Detection]] = {}
        patient = True
        try:
            for image in inputs:
                self._check_interrupted()
                queue.append(self._begin(image, pool, asked))
                while len(queue) >= (2 * WORKERS if self._answered else 1):
                    yield self._finish(queue.popleft())
            while queue:
                self._check_interrupted()
                yield self._finish(queue.popleft())
        except RemoteError:
            # The others under way fail in the same way.
            patient = False
            raise
        finally:
            pool.shutdown(wait=patient, cancel_futures=True)
            for content, future in asked.items():
                if content not in self._kept and _has_result(future):
                    self._keep(content, future.result())

    def has_answer(self, content: str) -> bool:
        """Whether the version has answered about these bytes before, so that no request is needed."""
        return self.key is not None and self.cache.get(self.key, content) is not None

    def accepts(self, image: ImageInput) -> bool:
        """Whether the image is a good one, so that it would be sent. For any thread."""
        try:
            size, data = image.read()
        except OSError:
            return False
        return reason_against(size, data) is None and self.check(data) is None

    def _check_interrupted(self) -> None:
        if self.stopping():
            raise Interrupted("stopped; all answers are cached", "Run the same command again to continue.")

    def _begin(
        self, image: ImageInput, pool: ThreadPoolExecutor, asked: dict[str, Future[Detection]]
    ) -> DetectionResult | _Request:
        try:
            size, data = image.read()
        except OSError as error:
            return DetectionResult(image.name, error=f"cannot be read: {error.strerror}")
        reason = reason_against(size, data)
        if reason is not None:
            return DetectionResult(image.name, error=reason)
        content = hash_bytes(data)
        if content not in asked:
            cached = None if self.key is None else self.cache.get(self.key, content)
            if cached is not None:
                return self._result(image.name, content, cached, cached=True)
            asked[content] = pool.submit(self._ask, data)
        return _Request(image.name, content, asked[content])

    def _ask(self, data: bytes) -> Detection:
        if reason := self.check(data):
            raise ImageRejected(reason.partition(":")[0])
        return self.service.detect(self.model_id, self.version, data)

    def _finish(self, entry: DetectionResult | _Request) -> DetectionResult:
        if isinstance(entry, DetectionResult):
            return entry
        try:
            answer = entry.future.result()
        except (RemoteError, ImageRejected) as error:
            if error.stops_run:
                raise
            if isinstance(error, Refused):
                self._judge_refusal(error)
            return DetectionResult(entry.name, entry.content, error=str(error))
        self._answered = True
        if entry.content not in self._kept:
            self._keep(entry.content, answer)
            self.confidences.add(answer.confidence)
        return self._result(entry.name, entry.content, CachedAnswer(answer.label, answer.confidence))

    def _judge_refusal(self, error: Refused) -> None:
        """Ends the run where the refusal is about the version: each further request would be refused as well."""
        if self._answered:
            return
        self._refusals += 1
        without_name = re.sub(rf"(?<!\w){re.escape(self.version)}(?!\w)", "", str(error))
        about_version = not self.version_exists or _ABOUT_VERSION.search(without_name)
        if about_version or self._refusals >= REFUSALS_BEFORE_END:
            raise VersionRefused(
                f"the service cannot run version {self.version!r}: {error}", "List them: astica-sync versions"
            ) from error

    def _result(self, name: str, content: str, answer: CachedAnswer, *, cached: bool = False) -> DetectionResult:
        stated = answer.confidence
        unit = self.confidences.unit
        if self._unit is Unit.UNKNOWN:
            self._unit = unit
        # All results of one run are in one unit: where later answers contradict it, theirs is not known.
        percent = None if stated is None else stated.to_percent(unit if unit is self._unit else Unit.UNKNOWN)
        return DetectionResult(name, content, answer.label, percent, stated, cached=cached)

    def _keep(self, content: str, answer: Detection) -> None:
        self._kept.add(content)
        if self.key is not None:
            self.cache.put(self.key, content, CachedAnswer(answer.label, answer.confidence))


def reason_against(size: int, data: bytes) -> str | None:
    """Why an image of this size, and with these first bytes, is not sent; None where it may be."""
    if (reason := judge_bytes(size)) is not None:
        return reason
    if sniff(data[:HEAD_BYTES]) is None:
        # The rest of the description is about files of the store.
        return f"{describe(data[:HEAD_BYTES], len(data)).partition(':')[0]}, not a PNG or JPEG image"
    return None


def _has_result(future: Future[Detection]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def find_inputs(names: Iterable[str], stdin: Callable[[], bytes]) -> Iterator[ImageInput]:
    """The images that ``names`` refer to: files, folders with every PNG and JPEG file below them, patterns such as
    ``'new/*.png'``, https addresses, and ``-`` for one image on standard input.

    Raises:
        AsticaSyncError: a name is none of these, or a folder contains no image. Raised before the first image is
            yielded.
    """
    sources: list[tuple[Path | str, Path | None]] = []
    for name in names:
        path = Path(name)
        if name == STDIN:
            sources.append((name, None))
        elif is_address(name):
            check_image_address(name)
            sources.append((name, None))
        elif path.is_dir():
            inside = list_images(path)
            if not inside:
                if formats := count_formats(list_unsupported(path)):
                    raise AsticaSyncError(
                        f"{path} contains no PNG or JPEG image; it has {formats}",
                        "Convert these to PNG or JPEG, or name another folder, or files.",
                    )
                raise AsticaSyncError(f"{path} contains no PNG or JPEG image", "Name another folder, or files.")
            sources += [(image, path) for image in inside]
        elif path.exists():
            sources.append((path, None))
        else:
            # Path.glob refuses absolute patterns.
            matching = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []  # noqa: PTH207
            if not matching:
                raise AsticaSyncError(f"no such file: {name}", "Name files or folders that exist.")
            sources += [(Path(match), Path(match).parent) for match in matching if not Path(match).is_dir()]
    return (
        ImageInput(str(source), stdin() if source == STDIN else None if isinstance(source, str) else source, inside)
        for source, inside in sources
    )


def list_images(folder: Path) -> list[Path]:
    """Every image below a folder, sorted: what is a PNG or JPEG by its first bytes, as for a push, and what has the
    name of one and is none, so that it is not left out in silence. A link is among them and is not followed.

    Hidden files, litter and what an ignore file in the folder excludes are skipped.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    return sorted(path for path in _walk(folder) if _looks_like_image(path))


@dataclass(frozen=True, slots=True)
class UnsupportedFile:
    """A file that is neither PNG nor JPEG and so is not among the images of a folder. ``format`` is what it is."""

    path: Path
    format: str


def list_unsupported(folder: Path) -> list[UnsupportedFile]:
    """What ``list_images`` passes over by its first bytes, sorted: images in other formats, videos and the like. Text
    is not among it, since the files that belong to a data set are text.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    found = []
    for path in _walk(folder):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if kind_of(status) is not Kind.FILE or _looks_like_image(path):
                continue
            with FileSystem().open_read(path) as file:
                kind = describe(file.read(HEAD_BYTES), status.st_size).partition(":")[0]
            if kind not in TEXTS:
                found.append(UnsupportedFile(path, kind))
    return sorted(found, key=lambda one: one.path)


def count_formats(files: Iterable[UnsupportedFile]) -> str:
    """``3 HEIC, 1 TIFF``; "" where there are no files."""
    counts = Counter(
        "in no known format" if one.format == "not an image in a known format" else one.format.removesuffix(" image")
        for one in files
    )
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder, and the links, that are not hidden, no litter and not in its ignore file.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    ignore = Ignore.load(folder)
    for place, folders, names in os.walk(folder):
        below = Path(place).relative_to(folder)
        folders[:] = [
            name for name in folders if not is_hidden(name) and not ignore.skips((below / name).as_posix(), folder=True)
        ]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in names + links:
            if not is_hidden(name) and not ignore.skips((below / name).as_posix(), folder=False):
                yield Path(place) / name


def list_ignored(folder: Path) -> list[Path]:
    """Every image that the ignore file of a folder leaves out, sorted.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    if not (folder / IGNORE_FILE).exists():
        return []
    taken = set(list_images(folder))
    ignored: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name) and not is_litter(name, folder=True)]
        paths = (Path(place) / name for name in names if not is_hidden(name) and not is_litter(name, folder=False))
        ignored += (path for path in paths if path not in taken and _looks_like_image(path))
    return sorted(ignored)


def hash_image(path: Path, inside: Path) -> str:
    """The content hash of an image in a folder. That of a link, and of a file that is too large to be sent, is one of
    its own: neither is read, and ``Detector.run`` names it.

    Raises:
        OSError: it cannot be read.
    """
    try:
        size, data = _read(path, inside)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return hash_bytes(os.fsencode(path))
    return hash_bytes(os.fsencode(path) if judge_bytes(size) else data)


def _read(path: Path, inside: Path | None) -> tuple[int, bytes]:
    """The size of a file, and its bytes where they are not too many.

    Raises:
        OSError: it cannot be read; ``ELOOP`` where a part of its path below ``inside`` is a link.
    """
    if inside is None:
        size = path.stat().st_size
        return size, b"" if judge_bytes(size) else path.read_bytes()
    try:
        status, data, _ = FileSystem(inside.absolute()).read_small(path.absolute(), MAX_BYTES)
    except OSError as error:
        raise (link_refused(str(path)) if error.errno == errno.ELOOP else error) from error
    return status.st_size, data or b""


def _looks_like_image(path: Path) -> bool:
    named = path.suffix.lower() in SUFFIXES
    with contextlib.suppress(OSError):
        kind = kind_of(path.lstat())
        if kind is not Kind.FILE:
            return kind is Kind.SYMLINK
        if named:
            return True
        with FileSystem().open_read(path) as file:
            return sniff(file.read(HEAD_BYTES)) is not None
    return named
