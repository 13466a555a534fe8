"""Scoring versions on a held-out folder: which images count, what each version says of them, and what comes of it."""

import hashlib
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.model import fold_title
from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.detections import Detections, hash_bytes
from astica_sync.training.detect import Detected, Detector, Input, images_below
from astica_sync.training.metrics import Answer, Compared, Measured, compare, measure
from astica_sync.training.similarity import find_alike, likenesses


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One image of the held-out folder. ``name`` is relative to it, ``title`` the class whose folder it lies in."""

    name: str
    path: Path
    title: str
    content: str


@dataclass(frozen=True, slots=True)
class Leak:
    """A held-out image that a version may have been trained on: the same bytes as ``source``, or nearly the same
    picture."""

    image: HeldOut
    source: str
    same_bytes: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all versions scored. ``leaks`` were left out unless ``with_leaks``; ``unknown`` are class folders that no
    version knows, with their number of images; ``failed`` could not be looked at, by any version."""

    folder: Path
    measured: tuple[Measured, ...]
    compared: tuple[Compared, ...]
    leaks: tuple[Leak, ...]
    with_leaks: bool
    unknown: Mapping[str, int]
    failed: tuple[Detected, ...]
    images: str
    paths: Mapping[str, Path]


def find_held_out(folder: Path) -> list[HeldOut]:
    """Every image in the class folders of a held-out folder, sorted.

    Raises:
        AsticaSyncError: there is no such folder, or no image in its class folders.
    """
    if not folder.is_dir():
        raise AsticaSyncError(f"no such folder: {folder}", "Name a folder with one folder for each class in it.")
    found = []
    for path in images_below(folder):
        below = path.relative_to(folder)
        if len(below.parts) > 1:
            title = unicodedata.normalize("NFC", below.parts[0])
            try:
                found.append(HeldOut(below.as_posix(), path, title, hash_bytes(path.read_bytes())))
            except OSError as error:
                raise AsticaSyncError(f"{path} cannot be read: {error.strerror}", "Mend its rights.") from error
    if not found:
        raise AsticaSyncError(
            f"{folder} holds no PNG or JPEG file in a class folder",
            "Put held-out images into one folder for each class, or let astica-sync split make such a folder.",
        )
    return found


def leave_unknown(images: Sequence[HeldOut], known: Iterable[str]) -> tuple[list[HeldOut], dict[str, int]]:
    """The images of the classes that are known, under the titles by which they are known; and how many of others.

    Raises:
        AsticaSyncError: nothing is left.
    """
    titles = {fold_title(title): title for title in sorted(known)}
    kept: list[HeldOut] = []
    unknown: dict[str, int] = {}
    for image in images:
        title = titles.get(fold_title(image.title))
        if title is None:
            unknown[image.title] = unknown.get(image.title, 0) + 1
        else:
            kept.append(HeldOut(image.name, image.path, title, image.content))
    if not kept:
        names = ", ".join(repr(title) for title in sorted(unknown))
        raise AsticaSyncError(
            f"no version knows any of the classes {names}", f"Known are: {', '.join(titles.values())}."
        )
    return kept, unknown


def find_leaks(
    images: Sequence[HeldOut],
    trained_on: Mapping[str, tuple[str, Path]],
    cache: Detections,
    told: Callable[[int], None] = lambda _: None,
) -> list[Leak]:
    """The held-out images that may have been trained on; ``trained_on`` has a name and a file for each content."""
    leaks = [Leak(image, trained_on[image.content][0], True) for image in images if image.content in trained_on]
    others = [image for image in images if image.content not in trained_on]
    theirs = likenesses(((content, path) for content, (_, path) in trained_on.items()), cache, told)
    ours = likenesses(((image.content, image.path) for image in others), cache)
    contents = list(theirs)
    places = find_alike([ours[image.content] for image in others], list(theirs.values()))
    for image, place in zip(others, places, strict=True):
        if place is not None:
            leaks.append(Leak(image, trained_on[contents[place]][0], False))
    return sorted(leaks, key=lambda leak: leak.image.name)


def evaluate(
    folder: Path,
    images: Sequence[HeldOut],
    detectors: Sequence[Detector],
    *,
    leaks: Sequence[Leak] = (),
    with_leaks: bool = False,
    unknown: Mapping[str, int] | None = None,
    told: Callable[[int, int], None] = lambda *_: None,
) -> Evaluation:
    """Runs every version on every image that counts, and measures.

    ``told`` hears how many answers there are, and how many there will be.

    Raises:
        AsticaSyncError: nothing is left to look at, or no image could be looked at.
        RemoteError: the service is out of reach.
    """
    left_out = set() if with_leaks else {leak.image.name for leak in leaks}
    kept = [image for image in images if image.name not in left_out]
    if not kept:
        raise AsticaSyncError(
            f"every image of {folder} is in the training data as well", "Hold others out, or give --leaks."
        )
    by_title = {fold_title(image.title): image.title for image in kept}
    failed: dict[str, Detected] = {}
    answers: list[list[Answer]] = []
    done, total = 0, len(kept) * len(detectors)
    for detector in detectors:
        own: list[Answer] = []
        inputs = (Input(image.name, image.path) for image in kept)
        for image, found in zip(kept, detector.run(inputs), strict=True):
            done += 1
            told(done, total)
            if found.error:
                failed[image.name] = found
                continue
            # The service may fold titles; under any spelling it is the class that is meant.
            label = by_title.get(fold_title(found.label), found.label)
            own.append(Answer(image.name, image.content, image.title, label, found.confidence))
        answers.append(own)
    # A comparison is fair on the same images alone.
    answers = [[answer for answer in own if answer.name not in failed] for own in answers]
    if not answers[0]:
        reason = next(iter(failed.values())).error
        raise AsticaSyncError(f"no image of {folder} could be looked at: {reason}", "Mend that, then try again.")
    measured = [measure(detector.version, own) for detector, own in zip(detectors, answers, strict=True)]
    shown = hashlib.blake2s(digest_size=8)
    for answer in sorted(answers[0], key=lambda answer: answer.name):
        shown.update(f"{answer.truth}\0{answer.content}\n".encode("utf-8", "surrogatepass"))
    return Evaluation(
        folder,
        tuple(measured),
        tuple(compare(before, after) for before, after in itertools.pairwise(measured)),
        tuple(leaks),
        with_leaks,
        dict(unknown or {}),
        tuple(failed.values()),
        shown.hexdigest(),
        {image.name: image.path for image in kept},
    )
