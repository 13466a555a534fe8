"""Which held-out images are in the training data as well, and which versions were trained on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.training.evaluation.held_out_folder import HeldOutImage
from astica_sync.training.near_duplicates import Fingerprints, find_similar


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
class TrainingData:
    """Images that were or will be trained on: for each content hash a name and a file, None where the backup has lost
    it. ``version`` is "" for those of the store."""

    version: str
    images: Mapping[str, tuple[str, Path | None]]


def find_leaks(
    images: Sequence[HeldOutImage], own: Mapping[str, bytes], data: Sequence[TrainingData], fingerprints: Fingerprints
) -> dict[str, list[LeakedImage]]:
    """For each of ``data`` the held-out images that are also in it, sorted by name. ``own`` are the fingerprints of the
    held-out images by content."""
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
