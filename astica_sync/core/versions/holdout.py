"""Chooses the images to hold out: a share of each class, similar images together, the same choice for the same seed."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupedFile:
    """One file of the store. Files of similar images have the same ``group``."""

    path: str
    class_title: str
    group: int


def choose_held_out(files: Sequence[GroupedFile], share: float, seed: int) -> list[GroupedFile]:
    """The files to hold out, sorted by path.

    Takes about ``share`` of the files of each class, in whole groups, so that similar images are never on both sides.
    A group counts for the class that most of its files are in. At least one group of each class stays in the store, so
    a class with a single group contributes nothing.
    """
    groups: dict[int, list[GroupedFile]] = defaultdict(list)
    for file in files:
        groups[file.group].append(file)
    by_class: dict[str, list[list[GroupedFile]]] = defaultdict(list)
    for members in groups.values():
        members.sort(key=lambda file: file.path)
        titles = Counter(file.class_title for file in members)
        main_class = min(titles, key=lambda title: (-titles[title], title))
        by_class[main_class].append(members)
    chosen: list[GroupedFile] = []
    for _, own in sorted(by_class.items()):
        own.sort(key=lambda members: _shuffle_key(members[0].path, seed))
        wanted = share * sum(len(members) for members in own)
        taken = 0
        for members in own[:-1]:
            # A group is skipped if the total with it is further from the target than the total without it.
            if taken + len(members) / 2 <= wanted:
                chosen += members
                taken += len(members)
    return sorted(chosen, key=lambda file: file.path)


def _shuffle_key(path: str, seed: int) -> bytes:
    """A sort key that depends on seed and path alone, so that other files do not change the order of these."""
    return hashlib.blake2s(f"{seed}\0{path}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
