"""Evaluates versions on a held-out folder: what each version answers, and its metrics."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.core.model import ModelInfo
from astica_sync.core.versions.label_spelling import LabelSpelling
from astica_sync.errors import AsticaSyncError
from astica_sync.training.detect import WORKERS, DetectionResult, Detector, VersionRefused
from astica_sync.training.evaluation.comparison import Comparison, compare_all
from astica_sync.training.evaluation.held_out_folder import (
    HeldOutImage,
    count_once,
    find_contradictory,
    find_small_classes,
)
from astica_sync.training.evaluation.leaks import LeakedImage, TrainedOnVersion
from astica_sync.training.evaluation.metrics import NO_ANSWER, Prediction, VersionMetrics, compute_metrics
from astica_sync.training.find_images import ImageInput, UnsupportedFile
from astica_sync.training.version_history import VersionSummary

NAMED_PAIRS = 3
"""So many pairs of similar images are named in an error."""


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A version that the service does not run, and its reason."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class HeldOutSet:
    """The images to evaluate on. ``unknown_classes`` are the class folders that no version knows, with their number of
    images, which are not among ``images``; ``leaks`` are those of ``images`` that are in the training data too.
    ``trained_on`` are the versions that were left out, ``unknown_data`` the names of versions whose data is not known,
    so that their leaks are not either. ``unchecked`` are the versions with training images whose bytes are not
    here, with their number; ``loose`` are the images in no class folder, and ``ignored`` those that an ignore file in
    the folder leaves out. ``similar`` and ``similar_across`` are groups of images that are nearly the same picture,
    inside one class and over several. ``unsupported`` are the files that can be neither sent nor converted.
    ``classes`` are the titles of each version's data, and ``leaked`` the names of the images that are in it too, both
    by the version's name."""

    folders: Sequence[Path]
    images: Sequence[HeldOutImage]
    leaks: Sequence[LeakedImage] = ()
    unknown_classes: Mapping[str, int] | None = None
    trained_on: Sequence["TrainedOnVersion"] = ()
    unknown_data: Sequence[str] = ()
    unchecked: Mapping[str, int] | None = None
    loose: Sequence[str] = ()
    ignored: Sequence[str] = ()
    similar: Sequence[tuple[str, ...]] = ()
    similar_across: Sequence[tuple[str, ...]] = ()
    unsupported: Sequence[UnsupportedFile] = ()
    classes: Mapping[str, Collection[str]] = field(default_factory=dict)
    leaked: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The folders, for messages."""
        return " and ".join(map(str, self.folders))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result for all versions.

    ``measured`` holds the metrics of each version and ``compared`` each version against the ``baseline``, or against
    the one before it. ``leaks`` were left out unless ``with_leaks``. ``unknown_classes`` are class folders that no
    version knows, with their number of images. ``failed`` are images without an answer; they count for no
    version. ``images_hash`` identifies the set of images, so that scores on different sets are not compared. ``paths``
    are the files by name. ``refused`` are versions that the service does not run; ``trained_on`` and ``unknown_data``
    are as in ``HeldOutSet``. ``held_out`` counts the images of known classes, the ones that were left out included.
    ``unchecked``, ``loose``, ``ignored`` and ``unsupported`` are as in ``HeldOutSet``. ``repeated`` are images with the
    same bytes as another one of their class, which count once; ``contradictory`` groups the images of the same bytes
    that are in several classes. ``similar`` and ``similar_across`` are as in ``HeldOutSet``, of the images that count.
    ``small_classes`` are those of one or two images, with their number. ``model`` is what the service shows of the
    model, ``data`` what is known of each version, by name. ``leaked`` is for each version how many of the images that
    count are in its data too. ``made_elsewhere``: what is recorded of the versions came with the folder, and was not
    made by this user.
    """

    folders: tuple[Path, ...]
    measured: tuple[VersionMetrics, ...]
    compared: tuple[Comparison, ...]
    leaks: tuple[LeakedImage, ...]
    with_leaks: bool
    unknown_classes: Mapping[str, int]
    failed: tuple[DetectionResult, ...]
    images_hash: str
    paths: Mapping[str, Path]
    refused: tuple[RefusedVersion, ...] = ()
    trained_on: tuple[TrainedOnVersion, ...] = ()
    unknown_data: tuple[str, ...] = ()
    held_out: int = 0
    unchecked: Mapping[str, int] = field(default_factory=dict)
    loose: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    contradictory: tuple[tuple[str, ...], ...] = ()
    ignored: tuple[str, ...] = ()
    similar: tuple[tuple[str, ...], ...] = ()
    similar_across: tuple[tuple[str, ...], ...] = ()
    small_classes: Mapping[str, int] = field(default_factory=dict)
    baseline: str | None = None
    model: ModelInfo | None = None
    data: Mapping[str, VersionSummary] = field(default_factory=dict)
    unsupported: tuple[UnsupportedFile, ...] = ()
    leaked: Mapping[str, int] = field(default_factory=dict)
    made_elsewhere: bool = False

    @property
    def often_left_out(self) -> bool:
        """Whether more than a tenth of the images were left out as leaks."""
        return not self.with_leaks and 10 * len(self.leaks) > self.held_out

    @property
    def mostly_left_out(self) -> bool:
        """Whether most images were left out as leaks, so that the scores are about few of them."""
        return not self.with_leaks and 2 * len(self.leaks) > self.held_out


def evaluate(
    held_out: HeldOutSet,
    detectors: Sequence[Detector],
    *,
    with_leaks: bool = False,
    baseline: str | None = None,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Evaluation:
    """Runs every version on every image that counts, and computes the metrics.

    ``baseline`` is the version that all others are compared with; by default each is compared with the one before it.
    ``on_progress`` gets the number of answers so far, and the number of all answers.

    Raises:
        AsticaSyncError: every image is left out, or no image has an answer.
        RemoteError: the service cannot be reached.
    """
    images, repeated = select_counted(held_out, with_leaks=with_leaks)
    names = {image.name for image in images}
    answers, refused = _predict(images, detectors, held_out.classes, on_progress)
    if not answers:
        reasons = "; ".join(f"{one.version}: {one.reason}" for one in refused)
        raise AsticaSyncError(f"the service runs none of the versions: {reasons}", "List them: astica-sync versions")
    failed = {name: result for answer in answers for name, result in answer.failed.items()}
    predictions = [
        [one for one in answer.predictions if one.name not in failed]  # versions are comparable on the same images only
        for answer in answers
    ]
    if not predictions[0]:
        reason = next(iter(failed.values())).error
        raise AsticaSyncError(
            f"no image of {held_out.title} could be evaluated: {reason}", "Fix the cause, then try again."
        )
    measured = [compute_metrics(answer.version, own) for answer, own in zip(answers, predictions, strict=True)]
    return Evaluation(
        tuple(held_out.folders),
        tuple(measured),
        compare_all(measured, baseline),
        tuple(held_out.leaks),
        with_leaks,
        dict(held_out.unknown_classes or {}),
        tuple(failed.values()),
        _hash_images(predictions[0]),
        {image.name: image.path for image in images},
        tuple(refused),
        tuple(held_out.trained_on),
        tuple(name for name in held_out.unknown_data if any(name == answer.version for answer in answers)),
        len(held_out.images),
        {name: count for name, count in (held_out.unchecked or {}).items() if count},
        tuple(held_out.loose),
        tuple(image.name for image in repeated),
        find_contradictory(images),
        tuple(held_out.ignored),
        _groups_of(held_out.similar, names),
        _groups_of(held_out.similar_across, names),
        find_small_classes(images),
        baseline,
        unsupported=tuple(held_out.unsupported),
        leaked={
            answer.version: sum(one.name in held_out.leaked.get(answer.version, ()) for one in own)
            for answer, own in zip(answers, predictions, strict=True)
        },
    )


def select_counted(held_out: HeldOutSet, *, with_leaks: bool) -> tuple[list[HeldOutImage], list[HeldOutImage]]:
    """The images that a version is asked about, and those that have the same bytes as one of them.

    Raises:
        AsticaSyncError: every image is left out.
    """
    left_out = set() if with_leaks else {leak.image.name for leak in held_out.leaks}
    images = [image for image in held_out.images if image.name not in left_out]
    if not images:
        raise AsticaSyncError(
            f"every image of {held_out.title} is in the training data as well{_name_pairs(held_out.leaks)}",
            "Hold out other images, or count these with --leaks.",
        )
    return count_once(images)


def count_requests(images: Iterable[HeldOutImage], detectors: Sequence[Detector]) -> int:
    """How many requests the versions send about the images: one for each content that is a good image and that the
    version was not asked about before."""
    contents: dict[str, HeldOutImage] = {}
    for image in images:
        contents.setdefault(image.content, image)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="price") as pool:
        waiting: list[tuple[int, Future[bool]]] = []
        for content, image in contents.items():
            image_input = ImageInput(image.name, image.path, image.folder)
            asking = sum(not detector.has_answer(content, image_input) for detector in detectors)
            if asking:
                good = pool.submit(detectors[0].accepts, image_input)
                waiting.append((asking, good))
        return sum(asking for asking, good in waiting if good.result())


def _groups_of(groups: Iterable[tuple[str, ...]], names: set[str]) -> tuple[tuple[str, ...], ...]:
    """The groups without what is not among ``names``, where two or more remain."""
    remaining = (tuple(name for name in group if name in names) for group in groups)
    return tuple(group for group in remaining if len(group) > 1)


def _name_pairs(leaks: Sequence[LeakedImage]) -> str:
    """Some of the images that were left out as similar, each with what it is similar to."""
    similar = [leak for leak in leaks if not leak.same_bytes][:NAMED_PAIRS]
    pairs = "; ".join(f"{leak.image.name} is nearly the same picture as {leak.source}" for leak in similar)
    return f": {pairs}" if pairs else ""


@dataclass(frozen=True, slots=True)
class _VersionAnswers:
    """What one version answered, and the images without an answer."""

    version: str
    predictions: list[Prediction]
    failed: dict[str, DetectionResult]


def _predict(
    images: Sequence[HeldOutImage],
    detectors: Sequence[Detector],
    classes: Mapping[str, Collection[str]],
    on_progress: Callable[[int, int], None],
) -> tuple[list[_VersionAnswers], list[RefusedVersion]]:
    """The answers of each version that the service runs, and the other versions."""
    titles = {image.title for image in images}
    answers: list[_VersionAnswers] = []
    refused: list[RefusedVersion] = []
    done, total = 0, len(images) * len(detectors)
    # The first answer may take seconds.
    on_progress(done, total)
    for detector in detectors:
        results: list[DetectionResult] = []
        try:
            for result in detector.run(ImageInput(image.name, image.path, image.folder) for image in images):
                results.append(result)
                done += 1
                on_progress(done, total)
        except VersionRefused as error:
            refused.append(RefusedVersion(detector.version, str(error)))
            total -= len(images) - len(results)
            continue
        # All of its answers together show the unit of its confidences.
        unit = detector.confidences.unit
        spelling = LabelSpelling(titles, classes.get(detector.version, ()))
        answer = _VersionAnswers(detector.version, [], {})
        for image, result in zip(images, results, strict=True):
            if result.error:
                answer.failed[image.name] = result
                continue
            label = spelling.spell(result.label) if result.label else NO_ANSWER
            confidence = result.stated.to_percent(unit) if result.stated is not None else None
            answer.predictions.append(Prediction(image.name, image.content, image.title, label, confidence))
        answers.append(answer)
    return answers, refused


def _hash_images(predictions: Iterable[Prediction]) -> str:
    hasher = hashlib.blake2s(digest_size=8)
    for one in sorted(predictions, key=lambda one: one.name):
        hasher.update(f"{one.truth}\0{one.content}\n".encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()
