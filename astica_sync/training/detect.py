"""Runs a version on images: concurrently within the budget, results in order, each content at most once."""

import contextlib
import glob
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import AsticaSyncError, Interrupted, Refused, RemoteError
from astica_sync.local.db.detections import Detections, hash_bytes
from astica_sync.local.image.format import HEAD_BYTES, describe, judge_bytes, sniff
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.remote.responses import Detection

WORKERS = 12
SUFFIXES = (".jpg", ".jpeg", ".png")
STDIN = "-"


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The answer of a version for one image. ``confidence`` is in percent, ``cached`` is True if no request was needed,
    and ``error`` is the reason why there is no answer."""

    name: str
    content: str = ""
    label: str = ""
    confidence: float = 0.0
    error: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image to run a version on: a file, or bytes from another source under a name."""

    name: str
    source: Path | bytes

    def read(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True, slots=True)
class _Request:
    """A detection that was handed to the thread pool."""

    name: str
    content: str
    future: Future[Detection]


@dataclass(frozen=True, slots=True)
class Detector:
    """One version of a model, ready to run.

    ``version_exists`` is True if the version is known to exist, so that a refusal is about the image. ``stopping``
    returns True after the user has interrupted the program.
    """

    service: RateLimitedClient
    cache: Detections
    model_id: int
    version: str
    version_exists: bool
    stopping: Callable[[], bool]

    def run(self, inputs: Iterable[ImageInput]) -> Iterator[DetectionResult]:
        """Runs the version on each image and yields the results in the order of the images, failures included.

        Answers are cached immediately, so an interrupted run can be repeated without repeating its requests.

        Raises:
            RemoteError: the service cannot be reached, refuses the key, or cannot run this version.
            Interrupted: the user interrupted the program.
        """
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="detect")
        queue: deque[DetectionResult | _Request] = deque()
        try:
            for image in inputs:
                self._check_interrupted()
                queue.append(self._begin(image, pool))
                if len(queue) >= 2 * WORKERS:
                    yield self._finish(queue.popleft())
            while queue:
                self._check_interrupted()
                yield self._finish(queue.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for entry in queue:
                self._cache_if_answered(entry)

    def _check_interrupted(self) -> None:
        if self.stopping():
            raise Interrupted("stopped; all answers are cached", "Run the same command again to continue.")

    def _begin(self, image: ImageInput, pool: ThreadPoolExecutor) -> DetectionResult | _Request:
        try:
            reason = judge_bytes(image.size())
            data = b"" if reason else image.read()
        except OSError as error:
            return DetectionResult(image.name, error=f"cannot be read: {error.strerror}")
        if reason is None and sniff(data[:HEAD_BYTES]) is None:
            # The rest of the description is about files of the store.
            reason = f"{describe(data[:HEAD_BYTES], len(data)).partition(':')[0]}, not a PNG or JPEG image"
        if reason is not None:
            return DetectionResult(image.name, error=reason)
        content = hash_bytes(data)
        cached = self.cache.get(self.model_id, self.version, content)
        if cached is not None:
            return DetectionResult(image.name, content, *cached, cached=True)
        return _Request(image.name, content, pool.submit(self.service.detect, self.model_id, self.version, data))

    def _finish(self, entry: DetectionResult | _Request) -> DetectionResult:
        if isinstance(entry, DetectionResult):
            return entry
        try:
            answer = entry.future.result()
        except RemoteError as error:
            if error.stops_run:
                raise
            if isinstance(error, Refused) and not self.version_exists:
                raise AsticaSyncError(
                    f"the service cannot run version {self.version!r}: {error}", "List them: astica-sync versions"
                ) from error
            return DetectionResult(entry.name, entry.content, error=str(error))
        self._cache(entry.content, answer)
        return DetectionResult(entry.name, entry.content, answer.label, answer.confidence)

    def _cache_if_answered(self, entry: DetectionResult | _Request) -> None:
        """Caches an answer that arrived before the run ended but was not yielded."""
        if isinstance(entry, _Request):
            future = entry.future
            if future.done() and not future.cancelled() and future.exception() is None:
                self._cache(entry.content, future.result())

    def _cache(self, content: str, answer: Detection) -> None:
        self.cache.put(self.model_id, self.version, content, answer.label, answer.confidence)


def find_inputs(names: Iterable[str], stdin: Callable[[], bytes]) -> Iterator[ImageInput]:
    """The images that ``names`` refer to: files, folders with every PNG and JPEG file below them, patterns such as
    ``'new/*.png'``, and ``-`` for one image on standard input.

    Raises:
        AsticaSyncError: a name is none of these, or a folder contains no image. Raised before the first image is
            yielded.
    """
    sources: list[Path | str] = []
    for name in names:
        path = Path(name)
        if name == STDIN:
            sources.append(name)
        elif path.is_dir():
            inside = list_images(path)
            if not inside:
                raise AsticaSyncError(f"{path} contains no PNG or JPEG file", "Name another folder, or files.")
            sources += inside
        elif path.exists():
            sources.append(path)
        else:
            # Path.glob refuses absolute patterns.
            matching = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []  # noqa: PTH207
            if not matching:
                raise AsticaSyncError(f"no such file: {name}", "Name files or folders that exist.")
            sources += [Path(match) for match in matching if not Path(match).is_dir()]
    return (
        ImageInput(STDIN, stdin()) if isinstance(source, str) else ImageInput(str(source), source) for source in sources
    )


def list_images(folder: Path) -> list[Path]:
    """Every file below a folder with the suffix of a PNG or JPEG file, sorted; hidden folders are skipped."""
    images = []
    for path in folder.rglob("*"):
        below = path.relative_to(folder).parts
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in below):
            with contextlib.suppress(OSError):
                if path.is_file():
                    images.append(path)
    return sorted(images)
