"""Evaluates versions on a held-out folder: which images count, what each version answers, and its metrics."""

import hashlib
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from astica_sync.core.model import fold_title
from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.detections import Detections, hash_bytes
from astica_sync.training.detect import DetectionResult, Detector, ImageInput, list_images
from astica_sync.training.metrics import Comparison, Prediction, VersionMetrics, compare_versions, compute_metrics
from astica_sync.training.similarity import find_similar, perceptual_hashes


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
class HeldOutSet:
    """The images to evaluate on. ``unknown_classes`` are the class folders that no version knows, with their number of
    images, which are not among ``images``; ``leaks`` are those of ``images`` that are in the training data too."""

    folder: Path
    images: Sequence[HeldOutImage]
    leaks: Sequence[LeakedImage] = ()
    unknown_classes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result for all versions.

    ``measured`` holds the metrics of each version and ``compared`` each version against the one before it. ``leaks``
    were left out unless ``with_leaks``. ``unknown_classes`` are class folders that no version knows, with their number
    of images. ``failed`` are images for which a version gave no answer; they count for no version. ``images_hash``
    identifies the set of images, so that scores on different sets are not compared. ``paths`` are the files by name.
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


def find_held_out(folder: Path) -> list[HeldOutImage]:
    """Every image in the class folders of a held-out folder, sorted.

    Raises:
        AsticaSyncError: there is no such folder, or no image in its class folders.
    """
    if not folder.is_dir():
        raise AsticaSyncError(f"no such folder: {folder}", "Name a folder that contains one folder per class.")
    images = []
    for path in list_images(folder):
        below = path.relative_to(folder)
        if len(below.parts) > 1:
            title = unicodedata.normalize("NFC", below.parts[0])
            try:
                images.append(HeldOutImage(below.as_posix(), path, title, hash_bytes(path.read_bytes())))
            except OSError as error:
                raise AsticaSyncError(
                    f"{path} cannot be read: {error.strerror}", f"Fix the permissions: chmod u+r {quote(str(path))}"
                ) from error
    if not images:
        raise AsticaSyncError(
            f"{folder} contains no PNG or JPEG file in a class folder",
            "Put held-out images into one folder per class, or create such a folder with: astica-sync split --to DIR",
        )
    return images


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


def find_leaks(
    images: Sequence[HeldOutImage],
    training_images: Mapping[str, tuple[str, Path]],
    cache: Detections,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[LeakedImage]:
    """The held-out images that are also in the training data, sorted by name.

    ``training_images`` maps each content hash to a name and a file. ``on_progress`` gets the number of training images
    that were hashed.
    """
    leaks = [
        LeakedImage(image, training_images[image.content][0], True)
        for image in images
        if image.content in training_images
    ]
    others = [image for image in images if image.content not in training_images]
    training_hashes = perceptual_hashes(
        ((content, path) for content, (_, path) in training_images.items()), cache, on_progress
    )
    own_hashes = perceptual_hashes(((image.content, image.path) for image in others), cache)
    contents = list(training_hashes)
    nearest = find_similar([own_hashes[image.content] for image in others], list(training_hashes.values()))
    for image, index in zip(others, nearest, strict=True):
        if index is not None:
            leaks.append(LeakedImage(image, training_images[contents[index]][0], False))
    return sorted(leaks, key=lambda leak: leak.image.name)


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
            f"every image of {folder} is in the training data as well",
            "Hold out other images, or count these with --leaks.",
        )
    predictions, failed = _predict(images, detectors, on_progress)
    if not predictions[0]:
        reason = next(iter(failed.values())).error
        raise AsticaSyncError(f"no image of {folder} could be evaluated: {reason}", "Fix the cause, then try again.")
    measured = [compute_metrics(detector.version, own) for detector, own in zip(detectors, predictions, strict=True)]
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
    )


def _predict(
    images: Sequence[HeldOutImage], detectors: Sequence[Detector], on_progress: Callable[[int, int], None]
) -> tuple[list[list[Prediction]], dict[str, DetectionResult]]:
    """The predictions of each version, and the images for which one of them has no answer."""
    # The service may fold class titles, so any spelling of a title is that class.
    by_title = {fold_title(image.title): image.title for image in images}
    failed: dict[str, DetectionResult] = {}
    predictions: list[list[Prediction]] = []
    done, total = 0, len(images) * len(detectors)
    for detector in detectors:
        own: list[Prediction] = []
        inputs = (ImageInput(image.name, image.path) for image in images)
        for image, result in zip(images, detector.run(inputs), strict=True):
            done += 1
            on_progress(done, total)
            if result.error:
                failed[image.name] = result
                continue
            label = by_title.get(fold_title(result.label), result.label)
            own.append(Prediction(image.name, image.content, image.title, label, result.confidence))
        predictions.append(own)
    # Versions are comparable only on the same images.
    return [[one for one in own if one.name not in failed] for own in predictions], failed


def _hash_images(predictions: Iterable[Prediction]) -> str:
    hasher = hashlib.blake2s(digest_size=8)
    for one in sorted(predictions, key=lambda one: one.name):
        hasher.update(f"{one.truth}\0{one.content}\n".encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()
