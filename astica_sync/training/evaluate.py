"""Evaluates versions on a held-out folder: which images count, what each version answers, and its metrics."""

import hashlib
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from astica_sync.core.model import fold_title
from astica_sync.errors import AsticaSyncError
from astica_sync.system.error_advice import remedy
from astica_sync.training.detect import DetectionResult, Detector, ImageInput, VersionRefused, hash_image, list_images
from astica_sync.training.metrics import (
    NO_ANSWER,
    Comparison,
    Prediction,
    VersionMetrics,
    compare_versions,
    compute_metrics,
)
from astica_sync.training.similarity import Fingerprints, find_similar

NAMED_PAIRS = 3
"""So many pairs of similar images are named in an error."""


@dataclass(frozen=True, slots=True)
class HeldOutImage:
    """One image of the held-out folder. ``name`` is its path relative to the folder, ``title`` its class."""

    name: str
    path: Path
    title: str
    content: str


@dataclass(frozen=True, slots=True)
class LeakedImage:
    """A held-out image that is also in the training data, as the same bytes or as a similar image. ``source`` is the
    name of the training image."""

    image: HeldOutImage
    source: str
    same_bytes: bool


@dataclass(frozen=True, slots=True)
class TrainedOnVersion:
    """A version that is not scored, as it was trained on so many of the held-out images."""

    version: str
    images: int


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
    the folder leaves out."""

    folder: Path
    images: Sequence[HeldOutImage]
    leaks: Sequence[LeakedImage] = ()
    unknown_classes: Mapping[str, int] | None = None
    trained_on: Sequence["TrainedOnVersion"] = ()
    unknown_data: Sequence[str] = ()
    unchecked: Mapping[str, int] | None = None
    loose: Sequence[str] = ()
    ignored: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result for all versions.

    ``measured`` holds the metrics of each version and ``compared`` each version against the one before it. ``leaks``
    were left out unless ``with_leaks``. ``unknown_classes`` are class folders that no version knows, with their number
    of images. ``failed`` are images for which a request failed; they count for no version. ``images_hash`` identifies
    the set of images, so that scores on different sets are not compared. ``paths`` are the files by name. ``refused``
    are versions that the service does not run; ``trained_on`` and ``unknown_data`` are as in ``HeldOutSet``.
    ``held_out`` counts the images of known classes, the ones that were left out included. ``unchecked``, ``loose``
    and ``ignored`` are as in ``HeldOutSet``. ``repeated`` are images with the same bytes as another one of their class,
    which count once; ``contradictory`` groups the images of the same bytes that are in several classes.
    """

    folder: Path
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

    @property
    def often_left_out(self) -> bool:
        """Whether more than a tenth of the images were left out as leaks."""
        return not self.with_leaks and 10 * len(self.leaks) > self.held_out

    @property
    def mostly_left_out(self) -> bool:
        """Whether most images were left out as leaks, so that the scores are about few of them."""
        return not self.with_leaks and 2 * len(self.leaks) > self.held_out


def find_held_out(folder: Path) -> tuple[list[HeldOutImage], list[str]]:
    """Every image in the class folders of a held-out folder, and the names of those in no class folder, both sorted.

    Raises:
        AsticaSyncError: there is no such folder, or no image in its class folders.
    """
    if not folder.is_dir():
        raise AsticaSyncError(f"no such folder: {folder}", "Name a folder that contains one folder per class.")
    images, loose = [], []
    for path in list_images(folder):
        below = path.relative_to(folder)
        if len(below.parts) == 1:
            loose.append(below.as_posix())
        else:
            title = unicodedata.normalize("NFC", below.parts[0])
            try:
                images.append(HeldOutImage(below.as_posix(), path, title, hash_image(path, folder)))
            except OSError as error:
                raise AsticaSyncError(
                    f"{path} cannot be read: {error.strerror}", remedy(error, path, writing=False)
                ) from error
    if not images:
        raise AsticaSyncError(
            f"{folder} contains no PNG or JPEG image in a class folder",
            "Put held-out images into one folder per class, or create such a folder with: astica-sync split --to DIR",
        )
    return images, loose


def select_known(
    images: Sequence[HeldOutImage], known_classes: Iterable[str]
) -> tuple[list[HeldOutImage], dict[str, int]]:
    """The images of known classes, with their titles spelled as in ``known_classes``; and the number of images in each
    other class.

    Raises:
        AsticaSyncError: no image is in a known class.
    """
    titles = {fold_title(title): title for title in sorted(known_classes)}
    selected: list[HeldOutImage] = []
    unknown: dict[str, int] = {}
    for image in images:
        title = titles.get(fold_title(image.title))
        if title is None:
            unknown[image.title] = unknown.get(image.title, 0) + 1
        else:
            selected.append(HeldOutImage(image.name, image.path, title, image.content))
    if not selected:
        names = ", ".join(repr(title) for title in sorted(unknown))
        raise AsticaSyncError(
            f"no version knows any of the classes {names}", f"Known classes: {', '.join(titles.values())}."
        )
    return selected, unknown


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Images that were or will be trained on: for each content hash a name and a file, None where the backup has lost
    it. ``version`` is "" for those of the store."""

    version: str
    images: Mapping[str, tuple[str, Path | None]]


def find_leaks(
    images: Sequence[HeldOutImage], data: Sequence[TrainingData], fingerprints: Fingerprints
) -> dict[str, list[LeakedImage]]:
    """For each of ``data`` the held-out images that are also in it, sorted by name."""
    own = fingerprints.of_all((image.content, image.path) for image in images)
    return {each.version: _find_leaks_in(images, own, each, fingerprints) for each in data}


def _find_leaks_in(
    images: Sequence[HeldOutImage], own: Mapping[str, bytes], data: TrainingData, fingerprints: Fingerprints
) -> list[LeakedImage]:
    leaks = [
        LeakedImage(image, data.images[image.content][0], True) for image in images if image.content in data.images
    ]
    others = [image for image in images if image.content not in data.images]
    files = ((content, path) for content, (_, path) in data.images.items())
    trained = fingerprints.of_all((content, path) for content, path in files if path is not None)
    contents = list(trained)
    nearest = find_similar([own[image.content] for image in others], list(trained.values()))
    for image, index in zip(others, nearest, strict=True):
        if index is not None:
            leaks.append(LeakedImage(image, data.images[contents[index]][0], False))
    return sorted(leaks, key=lambda leak: leak.image.name)


def merge_leaks(leaks: Iterable[LeakedImage]) -> list[LeakedImage]:
    """One leak for each held-out image, sorted by name; the same bytes before a similar image."""
    found: dict[str, LeakedImage] = {}
    for leak in leaks:
        if leak.image.name not in found or (leak.same_bytes and not found[leak.image.name].same_bytes):
            found[leak.image.name] = leak
    return [found[name] for name in sorted(found)]


def leave_out_trained(
    versions: Sequence[str], leaks: Mapping[str, Sequence[LeakedImage]], images: int
) -> list[TrainedOnVersion]:
    """The versions to leave out, since they were trained on held-out images that the others were not trained on.

    As long as most of the ``images`` would be left out, the version with the most leaks is left out instead; none is
    where that does not help. ``leaks`` are those of the store (under "") and of each version whose data is known.
    """

    def leaked(names: Iterable[str]) -> set[str]:
        return {leak.image.name for name in ("", *names) for leak in leaks.get(name, ())}

    remaining = list(versions)
    left_out: list[TrainedOnVersion] = []
    while len(remaining) > 1 and 2 * len(leaked(remaining)) > images:
        worst = max(remaining, key=lambda name: len(leaks.get(name, ())))
        if not leaks.get(worst):
            break
        remaining.remove(worst)
        left_out.append(TrainedOnVersion(worst, len(leaks[worst])))
    return left_out if len(leaked(remaining)) < len(leaked(versions)) else []


def evaluate(
    held_out: HeldOutSet,
    detectors: Sequence[Detector],
    *,
    with_leaks: bool = False,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Evaluation:
    """Runs every version on every image that counts, and computes the metrics.

    ``on_progress`` gets the number of answers so far, and the number of all answers.

    Raises:
        AsticaSyncError: every image is left out, or no image has an answer.
        RemoteError: the service cannot be reached.
    """
    folder = held_out.folder
    left_out = set() if with_leaks else {leak.image.name for leak in held_out.leaks}
    images = [image for image in held_out.images if image.name not in left_out]
    if not images:
        raise AsticaSyncError(
            f"every image of {folder} is in the training data as well{_name_pairs(held_out.leaks)}",
            "Hold out other images, or count these with --leaks.",
        )
    images, repeated = _count_once(images)
    answers, refused = _predict(images, detectors, on_progress)
    if not answers:
        names = "; ".join(f"{one.version}: {one.reason}" for one in refused)
        raise AsticaSyncError(f"the service runs none of the versions: {names}", "List them: astica-sync versions")
    failed = {name: result for answer in answers for name, result in answer.failed.items()}
    predictions = [
        [one for one in answer.predictions if one.name not in failed]  # versions are comparable on the same images only
        for answer in answers
    ]
    if not predictions[0]:
        reason = next(iter(failed.values())).error
        raise AsticaSyncError(f"no image of {folder} could be evaluated: {reason}", "Fix the cause, then try again.")
    measured = [compute_metrics(answer.version, own) for answer, own in zip(answers, predictions, strict=True)]
    return Evaluation(
        folder,
        tuple(measured),
        tuple(compare_versions(before, after) for before, after in itertools.pairwise(measured)),
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
        _find_contradictory(images),
        tuple(held_out.ignored),
    )


def _name_pairs(leaks: Sequence[LeakedImage]) -> str:
    """Some of the images that were left out as similar, each with what it is similar to."""
    similar = [leak for leak in leaks if not leak.same_bytes][:NAMED_PAIRS]
    pairs = "; ".join(f"{leak.image.name} is nearly the same picture as {leak.source}" for leak in similar)
    return f": {pairs}" if pairs else ""


def _folder_of(image: HeldOutImage) -> Path:
    """The held-out folder, from the image's path and its name in it."""
    return image.path.parents[len(PurePosixPath(image.name).parts) - 1]


def _count_once(images: Sequence[HeldOutImage]) -> tuple[list[HeldOutImage], list[HeldOutImage]]:
    """The first image of each content and class, and the others: the same image is no independent second one."""
    first: dict[tuple[str, str], HeldOutImage] = {}
    repeated = [image for image in images if first.setdefault((image.content, image.title), image) is not image]
    return list(first.values()), repeated


def _find_contradictory(images: Sequence[HeldOutImage]) -> tuple[tuple[str, ...], ...]:
    """The names of the images of one content that are in several classes, of which one at most is right."""
    by_content: dict[str, list[str]] = {}
    for image in images:
        by_content.setdefault(image.content, []).append(image.name)
    return tuple(tuple(names) for names in by_content.values() if len(names) > 1)


@dataclass(frozen=True, slots=True)
class _VersionAnswers:
    """What one version answered, and the images for which a request failed."""

    version: str
    predictions: list[Prediction]
    failed: dict[str, DetectionResult]


def _predict(
    images: Sequence[HeldOutImage], detectors: Sequence[Detector], on_progress: Callable[[int, int], None]
) -> tuple[list[_VersionAnswers], list[RefusedVersion]]:
    """The answers of each version that the service runs, and the other versions."""
    # The service may fold class titles, so any spelling of a title is that class.
    by_title = {fold_title(image.title): image.title for image in images}
    answers: list[_VersionAnswers] = []
    refused: list[RefusedVersion] = []
    done, total = 0, len(images) * len(detectors)
    for detector in detectors:
        results: list[DetectionResult] = []
        try:
            for result in detector.run(ImageInput(image.name, image.path, _folder_of(image)) for image in images):
                results.append(result)
                done += 1
                on_progress(done, total)
        except VersionRefused as error:
            refused.append(RefusedVersion(detector.version, str(error)))
            total -= len(images) - len(results)
            continue
        # All of its answers together show the unit of its confidences.
        unit = detector.confidences.unit
        answer = _VersionAnswers(detector.version, [], {})
        for image, result in zip(images, results, strict=True):
            if result.error:
                answer.failed[image.name] = result
                continue
            label = by_title.get(fold_title(result.label), result.label) if result.label else NO_ANSWER
            confidence = result.stated.to_percent(unit) if result.stated is not None else None
            answer.predictions.append(Prediction(image.name, image.content, image.title, label, confidence))
        answers.append(answer)
    return answers, refused


def _hash_images(predictions: Iterable[Prediction]) -> str:
    hasher = hashlib.blake2s(digest_size=8)
    for one in sorted(predictions, key=lambda one: one.name):
        hasher.update(f"{one.truth}\0{one.content}\n".encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()
