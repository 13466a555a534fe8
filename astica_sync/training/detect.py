"""Runs a version on images: concurrently within the budget, results in order, each content at most once."""

import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.core.recipe import OVERSIZED, Recipe
from astica_sync.core.versions.confidence_unit import Confidence, ConfidenceRange, Unit
from astica_sync.core.versions.version import VersionKey
from astica_sync.errors import AsticaSyncError, ImageRejected, Interrupted, Refused, RemoteError
from astica_sync.local.db.detections import CachedAnswer, Detections, hash_bytes
from astica_sync.local.image.format import HEAD_BYTES, describe, judge_bytes, preparable, sniff
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.remote.responses import Detection
from astica_sync.system.error_advice import remedy
from astica_sync.training.find_images import ImageInput

WORKERS = 12
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
    or None; ``convert`` what is sent of an image, as in a push, and ``recipe`` the identity of the recipe by which it
    is made (see ``Recipe``): what a version said of an image that another one converted is no answer. ``stopping``
    returns True after the user has interrupted the program. ``confidences`` is the range of what the version has
    answered.
    """

    service: RateLimitedClient
    cache: Detections
    model_id: int
    version: str
    key: VersionKey | None
    version_exists: bool
    check: Callable[[bytes], str | None]
    stopping: Callable[[], bool]
    convert: Callable[[bytes], bytes] = bytes
    recipe: str = ""
    confidences: ConfidenceRange = field(default_factory=ConfidenceRange)
    _answered: bool = False
    _refusals: int = 0
    _kept: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)
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

    def has_answer(self, content: str, image: ImageInput) -> bool:
        """Whether the version has answered about these bytes before, so that no request is needed."""
        if self.key is None:
            return False
        data = b""
        if self.recipe:
            with contextlib.suppress(OSError):
                _, data = image.read()
        return self.cache.get(self.key, self._name_in_cache(content, data)) is not None

    def _name_in_cache(self, content: str, data: bytes) -> str:
        """What an answer is kept under: the content hash, and the recipe where it is another than the default one."""
        return f"{content} {self.recipe}" if self.recipe and preparable(data) is not None else content

    def accepts(self, image: ImageInput) -> bool:
        """Whether the image is a good one, so that it would be sent. For any thread."""
        try:
            size, data = image.read()
        except OSError:
            return False
        if reason_against(size, data) is not None:
            return False
        word = preparable(data)
        if word == OVERSIZED:
            return Recipe.parse(self.recipe).converts(word)
        # To convert it would take as long as to ask about it.
        return word is not None or self.check(data) is None

    def _check_interrupted(self) -> None:
        if self.stopping():
            raise Interrupted("stopped; all answers are cached", "Run the same command again to continue.")

    def _begin(
        self, image: ImageInput, pool: ThreadPoolExecutor, asked: dict[str, Future[Detection]]
    ) -> DetectionResult | _Request:
        try:
            size, data = image.read()
        except OSError as error:
            return DetectionResult(image.name, error=_why_unreadable(image, error))
        reason = reason_against(size, data)
        if reason is not None:
            return DetectionResult(image.name, error=reason)
        content = hash_bytes(data)
        if content not in asked:
            name = self._names[content] = self._name_in_cache(content, data)
            cached = None if self.key is None else self.cache.get(self.key, name)
            if cached is not None:
                return self._result(image.name, content, cached, cached=True)
            asked[content] = pool.submit(self._ask, data)
        return _Request(image.name, content, asked[content])

    def _ask(self, data: bytes) -> Detection:
        try:
            data = self.convert(data)
            reason = self.check(data)
        except ImageRejected as error:
            reason = str(error)
        if reason:
            raise ImageRejected(_shorten(reason))
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
            self.cache.put(self.key, self._names[content], CachedAnswer(answer.label, answer.confidence))


def reason_against(size: int, data: bytes) -> str | None:
    """Why an image of this size, and with these first bytes, is not sent; None where it may be."""
    if preparable(data) is not None:
        return None
    if (reason := judge_bytes(size)) is not None:
        return reason
    if sniff(data[:HEAD_BYTES]) is None:
        # The rest of the description is about files of the store.
        return f"{describe(data[:HEAD_BYTES], len(data)).partition(':')[0]}, not an image that can be sent or converted"
    return None


def _shorten(reason: str) -> str:
    """The reason without its advice about files of a store; a setting helps here as well."""
    what, _, advice = reason.partition(": ")
    return f"{what}: {advice.partition(',')[0]}" if advice.startswith("set max_side") else what.partition(":")[0]


def _has_result(future: Future[Detection]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _why_unreadable(image: ImageInput, error: OSError) -> str:
    reason = f"cannot be read: {error.strerror}"
    # A link that is not followed, and an address, have a reason of this program, which explains itself.
    is_of_the_system = error.errno is not None and error.strerror == os.strerror(error.errno)
    if isinstance(image.source, Path) and is_of_the_system:
        return f"{reason}; {remedy(error, image.source, writing=False)}"
    return reason
