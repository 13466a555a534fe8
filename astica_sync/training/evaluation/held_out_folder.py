"""The images of a held-out folder: which there are, which of them are of a class that a version knows."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from astica_sync.core.model import fold_title
from astica_sync.errors import AsticaSyncError
from astica_sync.system.error_advice import remedy
from astica_sync.training.evaluation.metrics import NO_ANSWER
from astica_sync.training.find_images import (
    UnsupportedFile,
    count_formats,
    hash_image,
    list_ignored,
    list_images,
    list_unsupported,
)
from astica_sync.training.near_duplicates import group_similar

FEW_IMAGES = 2
"""A class of so few held-out images is named: one answer more or less changes its figures by half or more."""


@dataclass(frozen=True, slots=True)
class HeldOutImage:
    """One image of a held-out ``folder``. ``name`` is its path relative to the folder, with the folder before it where
    there are several; ``title`` is its class."""

    name: str
    path: Path
    title: str
    content: str
    folder: Path


def find_held_out(folder: Path, formats: Collection[str] | None = None) -> tuple[list[HeldOutImage], list[str]]:
    """Every image in the class folders of a held-out folder, and the names of those in no class folder, both sorted;
    ``formats`` as for ``list_images``.

    Raises:
        AsticaSyncError: there is no such folder, or no image in its class folders, or a class has a name that answers
            without a class are counted under.
    """
    if not folder.is_dir():
        raise AsticaSyncError(f"no such folder: {folder}", "Name a folder that contains one folder per class.")
    images, loose = [], []
    for path in list_images(folder, formats):
        below = path.relative_to(folder)
        if len(below.parts) == 1:
            loose.append(below.as_posix())
        else:
            title = unicodedata.normalize("NFC", below.parts[0])
            if title == NO_ANSWER:
                raise AsticaSyncError(
                    f"{folder / below.parts[0]} has the name under which answers without a class are counted",
                    "Give the class another name.",
                )
            try:
                images.append(HeldOutImage(below.as_posix(), path, title, hash_image(path, folder), folder))
            except OSError as error:
                raise AsticaSyncError(
                    f"{path} cannot be read: {error.strerror}", remedy(error, path, writing=False)
                ) from error
    if not images and (formats := count_formats(list_unsupported(folder, formats))):
        raise AsticaSyncError(
            f"{folder} contains no image in a class folder; it has {formats}",
            "Convert these to PNG or JPEG in the same folders.",
        )
    if not images:
        raise AsticaSyncError(
            f"{folder} contains no image in a class folder",
            "Put held-out images into one folder per class, or create such a folder with: astica-sync split --to DIR",
        )
    return images, loose


@dataclass(frozen=True, slots=True)
class FoundImages:
    """What is in the held-out folders: the ``images`` of class folders, the names of those in no class folder, and of
    those that an ignore file leaves out, and the files in formats that a version is not asked about."""

    images: tuple[HeldOutImage, ...]
    loose: tuple[str, ...]
    ignored: tuple[str, ...]
    unsupported: tuple[UnsupportedFile, ...]


def find_in_folders(folders: Sequence[Path], formats: Collection[str] | None = None) -> FoundImages:
    """Everything in one or several held-out folders; ``formats`` as for ``list_images``.

    Raises:
        AsticaSyncError: as ``find_held_out``, or one of the folders is in another one.
    """
    places = [folder.resolve() for folder in folders]
    for place, folder in enumerate(folders):
        for other in range(place):
            if places[place].is_relative_to(places[other]) or places[other].is_relative_to(places[place]):
                raise AsticaSyncError(
                    f"{folders[other]} and {folder} overlap, so images would count twice", "Name one of them."
                )
    images: list[HeldOutImage] = []
    loose: list[str] = []
    ignored: list[str] = []
    unsupported: list[UnsupportedFile] = []
    for folder in folders:
        prefix = f"{folder.as_posix()}/" if len(folders) > 1 else ""
        found, in_no_class = find_held_out(folder, formats)
        images += [replace(image, name=prefix + image.name) for image in found]
        loose += [prefix + name for name in in_no_class]
        ignored += [prefix + path.relative_to(folder).as_posix() for path in list_ignored(folder, formats)]
        unsupported += [
            replace(file, path=Path(prefix) / file.path.relative_to(folder))
            for file in list_unsupported(folder, formats)
        ]
    return FoundImages(tuple(images), tuple(loose), tuple(ignored), tuple(unsupported))


def select_known(
    images: Sequence[HeldOutImage], known_classes: Sequence[Collection[str]]
) -> tuple[list[HeldOutImage], dict[str, int]]:
    """The images of known classes, with their titles spelled as in ``known_classes``; and the number of images in each
    other class. ``known_classes`` has the titles of each version's data: where one of them has titles that differ in
    their spelling alone, the service keeps these apart, and each is a class of its own.

    Raises:
        AsticaSyncError: no image is in a known class.
    """
    apart: set[str] = set()
    for known in known_classes:
        spellings = Counter(map(fold_title, known))
        apart |= {title for title in known if spellings[fold_title(title)] > 1}
    folded_apart = set(map(fold_title, apart))
    others = {title for known in known_classes for title in known if fold_title(title) not in folded_apart}
    titles = {fold_title(title): title for title in sorted(others)}
    selected: list[HeldOutImage] = []
    unknown: dict[str, int] = {}
    for image in images:
        title = image.title if image.title in apart else titles.get(fold_title(image.title))
        if title is None:
            unknown[image.title] = unknown.get(image.title, 0) + 1
        else:
            selected.append(replace(image, title=title))
    if not selected:
        names = ", ".join(repr(title) for title in sorted(unknown))
        all_known = sorted(apart.union(titles.values()))
        raise AsticaSyncError(f"no version knows any of the classes {names}", f"Known classes: {', '.join(all_known)}.")
    return selected, unknown


def count_once(images: Sequence[HeldOutImage]) -> tuple[list[HeldOutImage], list[HeldOutImage]]:
    """The first image of each content and class, and the others: the same image is no independent second one."""
    first: dict[tuple[str, str], HeldOutImage] = {}
    repeated = [image for image in images if first.setdefault((image.content, image.title), image) is not image]
    return list(first.values()), repeated


def find_contradictory(images: Sequence[HeldOutImage]) -> tuple[tuple[str, ...], ...]:
    """The names of the images of one content that are in several classes, of which one at most is right."""
    by_content: dict[str, list[str]] = {}
    for image in images:
        by_content.setdefault(image.content, []).append(image.name)
    return tuple(tuple(names) for names in by_content.values() if len(names) > 1)


def find_small_classes(images: Iterable[HeldOutImage]) -> dict[str, int]:
    """The classes with so few images that their figures say little, with their number."""
    counts = Counter(image.title for image in images)
    return {title: count for title, count in sorted(counts.items()) if count <= FEW_IMAGES}


def find_similar_inside(
    images: Sequence[HeldOutImage], prints: Mapping[str, bytes]
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """The names of the images that are nearly the same picture: groups inside one class, and groups over several. The
    same bytes count as one image. ``prints`` are the fingerprints by content."""
    first: dict[str, HeldOutImage] = {}
    for image in images:
        first.setdefault(image.content, image)
    groups: dict[int, list[HeldOutImage]] = {}
    for image, group in zip(first.values(), group_similar([prints[content] for content in first]), strict=True):
        groups.setdefault(group, []).append(image)
    inside: list[tuple[str, ...]] = []
    across: list[tuple[str, ...]] = []
    for members in groups.values():
        if len(members) > 1:
            of_one_class = len({image.title for image in members}) == 1
            (inside if of_one_class else across).append(tuple(image.name for image in members))
    return tuple(inside), tuple(across)
