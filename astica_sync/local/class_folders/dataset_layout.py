"""Folders that are no class folders yet: a data set split into train and val, loose images, an unpacked archive, the
folders of a camera or a phone, an archive by date.

The folders directly in a store are its classes, so a store made one level too high trains a model on "train" and "val".
"""

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import HEAD_BYTES, is_image
from astica_sync.local.scan.litter import is_litter

SPLIT_NAMES = frozenset(
    "train training val valid validation test testing eval evaluation dev holdout held-out".split()  # noqa: SIM905
)
"""Names of the parts of a split data set, in lower case."""
_BY_CAMERA = re.compile(
    # DCF: 100APPLE, 101_PANA, 102CANON; iPhones: 202405__; dates: 2024-05, 2024_05_17, 2024-05 Rome.
    r"[1-9]\d\d[A-Z0-9_]{5}|(19|20)\d\d(0[1-9]|1[0-2])[_a-z]{2}|(19|20)\d\d[-_.](0[1-9]|1[0-2])([-_. ].*)?"
)
_OF_PHONES = frozenset(
    {"camera", "camera roll", "screenshots", "dcim", "pictures", "download", "downloads", "whatsapp images"}
)
"""Names that are in doubt, as are those of ``_BY_CAMERA``, in lower case; by themselves they may be classes."""
_MOST_FILES = 200
"""So many files of a folder are looked at."""


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """What would be wrong as a store. ``loose``: images lie in the folder itself and in no class folder; ``parts``: the
    folders that would be classes, and have the folders ``inside`` instead of images; ``is_split``: the parts are those
    of a split data set, otherwise there is one of any name, or they have images and are named ``by_camera``."""

    loose: bool = False
    parts: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    is_split: bool = False
    by_camera: bool = False


def find_layout(root: Path, files: FileSystem | None = None) -> DatasetLayout | None:
    """What the folder is instead of a folder of class folders; None where nothing speaks against it. What cannot be
    read is left to the scan."""
    files = files or FileSystem()
    folders = _folders(root)
    holding = {name: _has_images(root / name, files) for name in folders}
    deeper = {
        name: tuple(child for child in _folders(root / name) if _has_images(root / name / child, files))
        for name in folders
        if not holding[name]
    }
    parts = {name: inside for name, inside in deeper.items() if inside}
    classes = [name for name in folders if holding[name]]
    if are_camera_folders([*classes, *parts]):
        return DatasetLayout(parts=(*classes, *parts), by_camera=True)
    if not any(holding.values()) and parts and all(_is_of_phone(name, inside) for name, inside in parts.items()):
        return DatasetLayout(parts=tuple(parts), by_camera=True)
    if not any(holding.values()) and parts:
        inside = tuple(dict.fromkeys(itertools.chain.from_iterable(parts.values())))
        if all(name.casefold() in SPLIT_NAMES for name in parts):
            return DatasetLayout(parts=tuple(parts), inside=inside, is_split=True)
        if len(parts) == 1 and len(inside) > 1:
            return DatasetLayout(parts=tuple(parts), inside=inside)
    if not any(holding.values()) and not parts and _has_images(root, files):
        return DatasetLayout(loose=True)
    return None


def are_camera_folders(names: Sequence[str], outer: str = "") -> bool:
    """Whether a camera, a phone or a program that sorts by date named all these folders, which have images. ``outer``
    is the folder that they are in, "" where that may have any name."""
    if outer and names and _is_of_phone(outer, names):
        return True
    named = [name for name in names if _BY_CAMERA.fullmatch(name)]
    return bool(named) and all(name in named or name.casefold() in _OF_PHONES for name in names)


def _is_of_phone(name: str, inside: Sequence[str]) -> bool:
    """Whether it is a folder like DCIM of a phone or a card, whose images lie in folders that a camera named."""
    return name.casefold() in _OF_PHONES and all(
        child.casefold() in _OF_PHONES or _BY_CAMERA.fullmatch(child) for child in inside
    )


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as listing:
            return sorted(
                entry.name
                for entry in listing
                if entry.is_dir(follow_symlinks=False)
                and not entry.name.startswith(".")
                and not is_litter(entry.name, folder=True)
            )
    except OSError:
        return []


def _has_images(folder: Path, files: FileSystem) -> bool:
    """Whether the folder itself has an image, by content; looks at the first files alone."""
    try:
        with os.scandir(folder) as listing:
            return any(
                entry.is_file(follow_symlinks=False) and _is_image(Path(entry.path), files)
                for entry in itertools.islice(listing, _MOST_FILES)
            )
    except OSError:
        return False


def _is_image(path: Path, files: FileSystem) -> bool:
    try:
        with files.open_read(path) as file:
            return is_image(file.read(HEAD_BYTES))
    except OSError:
        return False
