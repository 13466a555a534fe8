"""Running a version on images: as many at once as the budget allows, in order, and never twice for the same bytes."""

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
from astica_sync.remote.responses import Detection
from astica_sync.remote.service import Service

AT_ONCE = 12
SUFFIXES = (".jpg", ".jpeg", ".png")
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Detected:
    """What a version sees in one image; ``error`` says why there is nothing. ``confidence`` is in percent, ``cached``
    says that no request was needed."""

    name: str
    content: str = ""
    label: str = ""
    confidence: float = 0.0
    error: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """One image to look at: a file, or bytes that came from elsewhere under a name."""

    name: str
    source: Path | bytes

    def read(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True, slots=True)
class Detector:
    """One version of a model, ready to run. ``known`` says that the version surely exists, so that a refusal is about
    the image."""

    service: Service
    cache: Detections
    model_id: int
    version: str
    known: bool
    stopping: Callable[[], bool]

    def run(self, inputs: Iterable[Input]) -> Iterator[Detected]:
        """Runs the version on each image; the results come in the order of the images, a failure is one of them.

        What was answered is kept at once, so that an interrupted run goes on where it was.

        Raises:
            RemoteError: the service is out of reach, refuses the key, or does not run this version.
            Interrupted: a person said stop.
        """
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="detect")
        waiting: deque[Detected | tuple[Input, str, Future[Detection]]] = deque()
        try:
            for one in inputs:
                if self.stopping():
                    raise Interrupted("stopped; what was answered is kept", "Give the same command to go on.")
                waiting.append(self._begin(one, pool))
                if len(waiting) >= 2 * AT_ONCE:
                    yield self._finish(waiting.popleft())
            while waiting:
                if self.stopping():
                    raise Interrupted("stopped; what was answered is kept", "Give the same command to go on.")
                yield self._finish(waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for begun in waiting:
                self._keep(begun)

    def _begin(self, one: Input, pool: ThreadPoolExecutor) -> "Detected | tuple[Input, str, Future[Detection]]":
        try:
            reason = judge_bytes(one.size())
            image = b"" if reason else one.read()
        except OSError as error:
            return Detected(one.name, error=f"cannot be read: {error.strerror}")
        if reason is None and sniff(image[:HEAD_BYTES]) is None:
            # Its advice is about files in the store.
            reason = f"{describe(image[:HEAD_BYTES], len(image)).partition(':')[0]}, no PNG or JPEG image"
        if reason is not None:
            return Detected(one.name, error=reason)
        content = hash_bytes(image)
        kept = self.cache.get(self.model_id, self.version, content)
        if kept is not None:
            return Detected(one.name, content, *kept, cached=True)
        return one, content, pool.submit(self.service.detect, self.model_id, self.version, image)

    def _finish(self, begun: "Detected | tuple[Input, str, Future[Detection]]") -> Detected:
        if isinstance(begun, Detected):
            return begun
        one, content, future = begun
        try:
            found = future.result()
        except Refused as error:
            if not self.known and not error.stops_run:
                raise AsticaSyncError(
                    f"the service does not run version {self.version!r}: {error}", "astica-sync versions lists them."
                ) from error
            if error.stops_run:
                raise
            return Detected(one.name, content, error=str(error))
        except RemoteError as error:
            if error.stops_run:
                raise
            return Detected(one.name, content, error=str(error))
        self.cache.put(self.model_id, self.version, content, found.label, found.confidence)
        return Detected(one.name, content, found.label, found.confidence)

    def _keep(self, begun: "Detected | tuple[Input, str, Future[Detection]]") -> None:
        """Keeps an answer that came before the end, though nobody waits for it any more."""
        if not isinstance(begun, Detected):
            _, content, future = begun
            if future.done() and not future.cancelled() and future.exception() is None:
                found = future.result()
                self.cache.put(self.model_id, self.version, content, found.label, found.confidence)


def inputs_in(named: Iterable[str], stdin: Callable[[], bytes]) -> Iterator[Input]:
    """The images a person named: files as they are, folders with every PNG and JPEG below them, patterns such as
    ``'new/*.png'``, and ``-`` for one image on standard input.

    Raises:
        AsticaSyncError: a name is none of these, or a folder has no image; before the first image is given.
    """
    found: list[Path | str] = []
    for name in named:
        path = Path(name)
        if name == STDIN:
            found.append(name)
        elif path.is_dir():
            inside = images_below(path)
            if not inside:
                raise AsticaSyncError(f"{path} holds no PNG or JPEG file", "Name another folder, or files.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            # Unlike Path.glob it takes absolute patterns.
            matching = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []  # noqa: PTH207
            if not matching:
                raise AsticaSyncError(f"no such file: {name}", "Name files or folders that exist.")
            found += [Path(match) for match in matching if not Path(match).is_dir()]
    return (Input(STDIN, stdin()) if isinstance(one, str) else Input(str(one), one) for one in found)


def images_below(folder: Path) -> list[Path]:
    """Every file below a folder that is called PNG or JPEG, sorted; hidden folders are passed over."""
    found = []
    for path in folder.rglob("*"):
        below = path.relative_to(folder).parts
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in below):
            with contextlib.suppress(OSError):
                if path.is_file():
                    found.append(path)
    return sorted(found)
